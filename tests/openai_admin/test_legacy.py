"""One day of one project's key: every list arrives exactly, at the pace that OpenAI takes."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finops_pipeline.openai_admin import LegacyClient, OpenAIError, Pacer
from finops_pipeline.openai_admin.legacy import CALLS_PER_MINUTE, SECONDS_BETWEEN_CALLS
from tests.openai_admin.conftest import FAST, NOW, Reply, ScriptedServer

DAY = date(2026, 3, 2)
SLOT = int(datetime(2026, 3, 2, 10, 5, tzinfo=UTC).timestamp())
KEY = "sk-proj-T3stT3stT3st"
SOME_SECONDS = st.sampled_from([0.0, 0.0, 0.3, 5.0, 11.0, 12.1, 12.3, 40.0, 100.0])


class Clock:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as scripted:
        yield scripted


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def client(server: ScriptedServer, clock: Clock) -> Iterator[LegacyClient]:
    with LegacyClient(
        team_id="search",
        project_id="ranking",
        openai_project_id="proj_ranking",
        base_url=server.base_url,
        api_key=lambda: KEY,
        pacer=Pacer(clock=lambda: clock.now, sleep=clock.sleep),
        retry=FAST,
    ) as opened:
        yield opened


def answer(**lists: Any) -> dict[str, Any]:
    return {"object": "list", "data": [], "current_usage_usd": 0.0, **lists}


def completion(**more: Any) -> dict[str, Any]:
    return {
        "aggregation_timestamp": SLOT,
        "n_requests": 3,
        "operation": "completion",
        "snapshot_id": "gpt-4o-2024-08-06",
        "n_context_tokens_total": 1200,
        "n_cached_context_tokens_total": 200,
        "n_generated_tokens_total": 300,
        "project_id": "proj_ranking",
        "project_name": "Ranking",
        "api_key_id": "key_1",
        "request_type": "",
    } | more


def test_every_list_arrives_with_its_own_measure(
    server: ScriptedServer, client: LegacyClient
) -> None:
    beside = {"timestamp": SLOT, "num_requests": 2, "project_id": "proj_ranking"}
    tuned = completion(snapshot_id="ft:gpt-4o-mini:acme:desk:1", request_type="batch")
    server.play(
        Reply(
            answer(
                data=[completion(), completion(n_context_tokens_total=2**60)],
                ft_data=[tuned],
                dalle_api_data=[
                    beside | {"model_id": "dall-e-3", "num_images": 4, "image_size": "1024x1024"}
                ],
                whisper_api_data=[beside | {"model_id": "whisper-1", "num_seconds": 61}],
                tts_api_data=[beside | {"model_id": "tts-1", "num_characters": 999}],
            )
        )
    )
    (bucket,) = client.usage(DAY).buckets
    (asked,) = server.asked
    assert (asked.path, asked.params) == ("/v1/usage", (("date", "2026-03-02"),))
    assert asked.authorization == f"Bearer {KEY}"
    assert (bucket.day, bucket.query_signature, bucket.unknown_fields) == (DAY, "proj_ranking", ())
    rows = bucket.rows.to_pylist()
    assert {row["aggregation_at"] for row in rows} == {datetime(2026, 3, 2, 10, 5, tzinfo=UTC)}
    assert [
        (row["dataset"], row["model"], row["is_batch"], row["request_count"]) for row in rows
    ] == [
        ("data", "gpt-4o-2024-08-06", False, 3),
        ("data", "gpt-4o-2024-08-06", False, 3),
        ("ft_data", "ft:gpt-4o-mini:acme:desk:1", True, 3),
        ("dalle_api_data", "dall-e-3", None, 2),
        ("whisper_api_data", "whisper-1", None, 2),
        ("tts_api_data", "tts-1", None, 2),
    ]
    tokens = ("input_tokens", "input_cached_tokens", "output_tokens")
    assert [rows[0][name] for name in tokens] == [1200, 200, 300]
    assert rows[1]["input_tokens"] == Decimal(2**60)
    others = ("images", "seconds", "characters")
    assert [[row[name] for name in others] for row in rows[3:]] == [
        [4, None, None],
        [None, 61, None],
        [None, None, 999],
    ]
    assert rows[3]["image_size"] == "1024x1024"
    assert rows[4]["input_tokens"] is None


def test_what_is_unknown_is_named_and_people_are_left_out(
    server: ScriptedServer, client: LegacyClient
) -> None:
    row = completion(email="ada@acme.example", user_id="user-ada", n_new_tokens=1)
    server.play(
        Reply(answer(data=[row], tts_api_data=None, video_api_data=[{"num_seconds": 1}], other=[]))
    )
    (bucket,) = client.usage(DAY).buckets
    assert bucket.unknown_fields == ("list.video_api_data", "result.n_new_tokens")
    assert "ada" not in str(bucket.rows.to_pylist())


def test_an_empty_day_has_no_rows(server: ScriptedServer, client: LegacyClient) -> None:
    server.play(Reply(answer()))
    (bucket,) = client.usage(DAY).buckets
    assert bucket.rows.num_rows == 0


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"object": "list"}, "has no list 'data'"),
        ([], "is not an answer with lists"),
        (answer(data=None), "unreadable results on 2026-03-02"),
        (answer(data=[completion(n_requests="many")]), "n_requests"),
        (
            answer(tts_api_data=[{"timestamp": SLOT, "num_characters": 1e30}]),
            "num_characters in tts_api_data on 2026-03-02, row 1",
        ),
        (answer(data=[completion(aggregation_timestamp=SLOT + 86_400)]), "is not on that day"),
        (answer(data=[completion(aggregation_timestamp=2**62)]), "is not on that day"),
    ],
)
def test_an_answer_that_cannot_be_trusted_counts_for_nothing(
    server: ScriptedServer, client: LegacyClient, body: Any, words: str
) -> None:
    server.play(Reply(body))
    with pytest.raises(OpenAIError) as raised:
        client.usage(DAY)
    assert raised.value.reason == "broken_answer"
    assert words in raised.value.message
    assert "Team 'search', legacy usage of project 'ranking' on 2026-03-02" in raised.value.message
    assert client.calls == 1


def test_half_an_answer_is_asked_for_again(server: ScriptedServer, client: LegacyClient) -> None:
    server.play(Reply(b'{"data": [{"aggregation'), Reply(answer(data=[completion()])))
    assert client.usage(DAY).buckets[0].rows.num_rows == 1
    assert client.calls == 2


def test_a_day_that_is_not_over_is_refused(server: ScriptedServer, client: LegacyClient) -> None:
    server.play(Reply(answer(), date=NOW))
    with pytest.raises(OpenAIError, match="not over by the API's clock"):
        client.usage(NOW.date())


def test_calls_keep_the_pace_and_the_first_waits_for_nothing(
    server: ScriptedServer, client: LegacyClient, clock: Clock
) -> None:
    server.play(*[Reply(answer()) for _ in range(CALLS_PER_MINUTE + 1)])
    began = clock.now
    for _ in range(CALLS_PER_MINUTE):
        client.usage(DAY)
    assert 48 < clock.now - began < 50
    client.usage(DAY)
    assert 60 < clock.now - began < 62, "the sixth call comes after a minute"


@settings(max_examples=100, derandomize=True, deadline=None)
@given(
    st.lists(st.tuples(SOME_SECONDS, SOME_SECONDS), min_size=20, max_size=40),
    st.dictionaries(st.integers(0, 39), st.sampled_from([-7200.0, -30.0, -5.0])),
)
def test_no_minute_has_more_calls_than_openai_takes(
    moments: list[tuple[float, float]], put_back: dict[int, float]
) -> None:
    """However long calls take and sleeps last, and when the clock is put back."""
    real = offset = too_long = 0.0
    began: list[float] = []

    def sleep(seconds: float) -> None:
        nonlocal real
        real += seconds + too_long

    pacer = Pacer(clock=lambda: real + offset, sleep=sleep)
    for number, (took, oversleeps) in enumerate(moments):
        too_long = oversleeps
        offset += put_back.get(number, 0.0)
        pacer.wait()
        began.append(real)
        real += took
    minutes = zip(began, began[CALLS_PER_MINUTE:], strict=False)
    assert all(sixth - first >= 60.0 for first, sixth in minutes)


def test_a_call_that_came_late_owes_nothing(clock: Clock) -> None:
    pacer = Pacer(12.0, clock=lambda: clock.now, sleep=clock.sleep)
    for _ in range(3):
        pacer.wait()
        clock.now += 30
    assert clock.slept == []


def test_too_many_requests_are_waited_for_and_keep_the_pace_too(
    server: ScriptedServer, client: LegacyClient, clock: Clock
) -> None:
    busy = Reply({"error": {"message": "Slow down"}}, status=429, headers={"Retry-After": "0"})
    server.play(busy, busy, Reply(answer(data=[completion()])))
    assert client.usage(DAY).buckets[0].rows.num_rows == 1
    assert client.calls == 3
    assert clock.slept == pytest.approx([SECONDS_BETWEEN_CALLS] * 2)


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_is_told_with_the_way_to_another(
    server: ScriptedServer,
    client: LegacyClient,
    status: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    message = f"Access denied to {KEY}"
    server.play(*[Reply({"error": {"message": message}}, status=status)] * 2)
    with pytest.raises(OpenAIError) as raised:
        client.usage(DAY)
    assert raised.value.fix == (
        "Register a working project key with "
        "`finops key rotate search --type project --project ranking`."
    )
    assert KEY not in str(raised.value)
    assert KEY not in caplog.text

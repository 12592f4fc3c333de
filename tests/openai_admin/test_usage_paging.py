"""Every closed day of an endpoint exactly once; an endpoint that is not there is told apart."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finops_pipeline.openai_admin import OpenAIError, UsagePage
from tests.openai_admin.conftest import NOW, Asked, Reply, ScriptedServer, bucket, page, unix

JANUARY = date(2026, 1, 1)
MISSING = Reply({"error": {"message": "Invalid URL", "type": "invalid_request_error"}}, 404)
REFUSED = Reply({"error": {"message": "group_by is not supported", "param": "group_by"}}, 400)


@dataclass
class Meter:
    """Answers usage as the API does: over 31 days a 400, buckets clipped to the window and now."""

    rows: Callable[[date], int] = lambda _: 1
    per_page: int = 31
    now: datetime = NOW

    def __call__(self, asked: Asked) -> Reply:
        query = [pair for pair in asked.params if pair[0] != "page"]
        limit = int(asked["limit"])
        if limit > 31:
            return Reply({"error": {"message": "limit over 31", "param": "limit"}}, 400)
        start = int(asked["start_time"])
        if tokens := asked.all("page"):
            bound, start = json.loads(tokens[0].removeprefix("page=="))
            if bound != [list(pair) for pair in query]:
                return Reply({"error": {"message": "page of another query"}}, 400)
        until = min(int(asked["end_time"]), int(self.now.timestamp()))
        buckets: list[dict[str, Any]] = []
        while start < until and len(buckets) < min(limit, self.per_page):
            day = datetime.fromtimestamp(start, UTC).date()
            end = min(unix(day + timedelta(days=1)), until)
            results = [{"input_tokens": 1}] * self.rows(day)
            buckets.append(bucket(day, *results, start_time=start, end_time=end))
            start = end
        token = None if start >= until else "page==" + json.dumps([query, start])
        return Reply(page(*buckets, next_page=token), date=self.now)


def read(server: ScriptedServer, start: date, end: date, **others: Any) -> list[UsagePage]:
    with server.client() as client:
        return list(client.usage("completions", start, end, **others))


def days(pages: list[UsagePage]) -> list[date]:
    return [bucket.day for page in pages for bucket in page.buckets]


def span(start: date, end: date) -> list[date]:
    return [start + timedelta(days=number) for number in range((end - start).days)]


def test_a_year_takes_twelve_pages_of_31_days(server: ScriptedServer) -> None:
    server.otherwise = Meter()
    pages = read(server, date(2025, 1, 1), JANUARY)
    assert days(pages) == span(date(2025, 1, 1), JANUARY)
    assert len(server.asked) == 12
    assert {asked["limit"] for asked in server.asked} == {"31"}
    assert len({tuple(asked.all("group_by[]")) for asked in server.asked}) == 1


def test_pages_shrink_when_days_are_large(server: ScriptedServer) -> None:
    server.otherwise = Meter(rows=lambda day: 4_000 if day == JANUARY else 1)
    pages = read(server, JANUARY, date(2026, 1, 8), rows_per_bucket=10_000)
    assert days(pages) == span(JANUARY, date(2026, 1, 8))
    assert {asked["limit"] for asked in server.asked} == {"2"}


def test_today_is_left_out_although_its_bucket_is_answered(server: ScriptedServer) -> None:
    server.otherwise = Meter()
    today = NOW.date()
    pages = read(server, today - timedelta(days=3), today + timedelta(days=2))
    assert days(pages) == span(today - timedelta(days=3), today)


def test_windows_are_midnight_to_midnight(server: ScriptedServer) -> None:
    server.otherwise = Meter(per_page=2)
    read(server, JANUARY, date(2026, 1, 6))
    for asked in server.asked:
        assert int(asked["start_time"]) % 86_400 == int(asked["end_time"]) % 86_400 == 0


def test_ends_of_buckets_do_not_matter(server: ScriptedServer) -> None:
    odd = [
        bucket(JANUARY, end_time=unix(JANUARY) + 5),
        bucket(date(2026, 1, 2), end_time=None),
    ]
    server.play(Reply(page(*odd)))
    assert days(read(server, JANUARY, date(2026, 1, 3))) == [JANUARY, date(2026, 1, 2)]


def test_a_first_bucket_that_starts_within_a_day_is_broken(server: ScriptedServer) -> None:
    server.play(Reply(page(bucket(JANUARY, start_time=unix(JANUARY) + 60))))
    with pytest.raises(OpenAIError, match="starts within a day"):
        read(server, JANUARY, date(2026, 1, 2))


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (page(bucket(date(2026, 1, 2)), next_page="t1"), "repeats an earlier page's token"),
        (page(bucket(date(2026, 1, 2)), has_more=True), "has_more but gives no next_page"),
        ({"object": "page", "has_more": False}, "not a page of buckets"),
        (page(bucket(date(2026, 1, 2))), "was no bucket for 2026-01-03"),
        (page(bucket(date(2026, 1, 3))), "has no bucket for 2026-01-02"),
        (page(bucket(JANUARY), bucket(date(2026, 1, 2))), "brings 2026-01-01 twice"),
        (
            page(
                bucket(date(2026, 1, 2), {"organization_id": "org-a"}),
                bucket(date(2026, 1, 3), {"organization_id": "org-b"}),
            ),
            "mixes the organizations org-a, org-b",
        ),
    ],
)
def test_broken_page_fails_loudly_and_counts_for_nothing(
    server: ScriptedServer, answer: object, words: str
) -> None:
    server.play(Reply(page(bucket(JANUARY), next_page="t1")), Reply(answer))
    with server.client() as client:
        pages = client.usage("web_search_calls", JANUARY, date(2026, 1, 4))
        assert days([next(pages)]) == [JANUARY]
        with pytest.raises(OpenAIError) as caught:
            next(pages)
    assert caught.value.reason == "broken_answer"
    assert words in caught.value.message
    assert "page 2 of the usage of web search calls from 2026-01-01" in caught.value.message
    assert len(server.asked) == 2


@pytest.mark.parametrize("reply", [MISSING, REFUSED, Reply(b"<html>gone</html>", 404)])
def test_an_endpoint_that_is_not_there_is_unsupported_at_once(
    server: ScriptedServer, reply: Reply
) -> None:
    server.otherwise = lambda _: reply
    with pytest.raises(OpenAIError) as caught:
        read(server, JANUARY, date(2026, 1, 3))
    assert caught.value.reason == "unsupported"
    assert "Team 'growth', page 1 of the usage of completions" in caught.value.message
    assert caught.value.fix
    assert len(server.asked) == 1


def test_the_same_404_on_costs_stays_an_outage(server: ScriptedServer) -> None:
    server.otherwise = lambda _: MISSING
    with server.client() as client, pytest.raises(OpenAIError) as caught:
        list(client.costs(JANUARY, date(2026, 1, 3), rows_per_bucket=None))
    assert caught.value.reason == "outage"
    assert len(server.asked) == 4


def test_an_endpoint_that_has_answered_cannot_become_unsupported(server: ScriptedServer) -> None:
    server.play(Reply(page(bucket(JANUARY), next_page="t")))
    server.otherwise = lambda _: MISSING
    with pytest.raises(OpenAIError) as caught:
        read(server, JANUARY, date(2026, 1, 3))
    assert caught.value.reason == "outage"
    assert len(server.asked) == 1 + 4


@pytest.mark.parametrize(
    ("status", "message", "reason"),
    [
        (400, "Incorrect API key provided", "bad_key"),
        (404, "Missing scopes: api.usage.read", "missing_scope"),
        (400, "mismatched organization", "wrong_organization"),
        (403, "Missing scopes: api.usage.read", "missing_scope"),
        (429, "Too many requests", "rate_limited"),
        (500, "oops", "outage"),
    ],
)
def test_other_refusals_are_what_they_are_on_costs(
    server: ScriptedServer, status: int, message: str, reason: str
) -> None:
    server.otherwise = lambda _: Reply({"error": {"message": message}}, status)
    with pytest.raises(OpenAIError) as caught:
        read(server, JANUARY, date(2026, 1, 3))
    assert caught.value.reason == reason


def test_a_window_that_reaches_past_the_servers_clock_is_asked_again_shorter(
    server: ScriptedServer,
) -> None:
    clock = datetime(2026, 1, 3, 9, tzinfo=UTC)
    meter = Meter(now=clock)

    def strict(asked: Asked) -> Reply:
        if int(asked["end_time"]) > clock.timestamp():
            return Reply({"error": {"message": "end_time is in the future"}}, 400, date=clock)
        return meter(asked)

    server.otherwise = strict
    assert days(read(server, JANUARY, date(2026, 1, 9))) == span(JANUARY, date(2026, 1, 3))
    assert [asked.days[1] for asked in server.asked] == [date(2026, 1, 9), date(2026, 1, 3)]


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    first=st.integers(-400, 0),
    length=st.integers(1, 120),
    per_page=st.integers(1, 31),
    rows_per_bucket=st.none() | st.integers(0, 60_000),
    hour=st.integers(0, 23),
)
def test_every_closed_day_arrives_exactly_once(
    lasting_server: ScriptedServer,
    first: int,
    length: int,
    per_page: int,
    rows_per_bucket: int | None,
    hour: int,
) -> None:
    now = datetime.combine(NOW.date(), time(hour), tzinfo=UTC)
    start = NOW.date() + timedelta(days=first)
    end = start + timedelta(days=length)
    lasting_server.asked.clear()
    lasting_server.otherwise = Meter(
        rows=lambda day: day.toordinal() % 5, per_page=max(per_page, length // 20 + 1), now=now
    )

    pages = read(lasting_server, start, end, rows_per_bucket=rows_per_bucket)

    expected = span(start, min(end, NOW.date()))
    assert days(pages) == expected
    assert [b.rows.num_rows for p in pages for b in p.buckets] == [
        day.toordinal() % 5 for day in expected
    ]
    assert all(1 <= int(asked["limit"]) <= 31 for asked in lasting_server.asked)

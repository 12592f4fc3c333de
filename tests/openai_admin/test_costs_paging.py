"""Every closed day exactly once, or an error that names team and page."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finops_pipeline.openai_admin import CostsPage, OpenAIError
from tests.openai_admin.conftest import (
    KEY,
    Account,
    Reply,
    ScriptedServer,
    bucket,
    day_of,
    page,
    row,
    unix,
)

JANUARY = date(2026, 1, 1)


def read(
    server: ScriptedServer, start: date, end: date, rows_per_bucket: int | None = None
) -> list[CostsPage]:
    with server.client() as client:
        return list(client.costs(start, end, rows_per_bucket=rows_per_bucket))


def days(pages: list[CostsPage]) -> list[date]:
    return [bucket.day for page in pages for bucket in page.buckets]


def span(start: date, end: date) -> list[date]:
    return [start + timedelta(days=number) for number in range((end - start).days)]


def test_request_is_what_the_api_documents(server: ScriptedServer) -> None:
    server.otherwise = Account()
    read(server, JANUARY, date(2026, 1, 3))

    (asked,) = server.asked
    assert asked.path == "/v1/organization/costs"
    assert asked.authorization == f"Bearer {KEY}"
    assert asked["start_time"] == "1767225600"
    assert asked["end_time"] == "1767398400"
    assert asked["bucket_width"] == "1d"
    assert asked.all("group_by[]") == ["project_id", "line_item", "api_key_id"]
    assert asked.all("page") == []


def test_page_token_is_url_encoded(server: ScriptedServer) -> None:
    token = "page_AAA=&limit=1 +/é"
    server.play(
        Reply(page(bucket(JANUARY), next_page=token)),
        Reply(page(bucket(date(2026, 1, 2)))),
    )
    read(server, JANUARY, date(2026, 1, 3), rows_per_bucket=100_000)
    assert server.asked[1]["page"] == token
    assert server.asked[1]["limit"] == server.asked[0]["limit"] == "1"


def test_ninety_unknown_days_take_two_calls(server: ScriptedServer) -> None:
    server.otherwise = Account()
    pages = read(server, JANUARY, date(2026, 4, 1))

    assert [len(page.buckets) for page in pages] == [31, 59]
    assert [page.number for page in pages] == [1, 2]
    assert [asked.days[0] for asked in server.asked] == [JANUARY, date(2026, 2, 1)]
    assert days(pages) == span(JANUARY, date(2026, 4, 1))


def test_known_small_team_reads_a_year_in_three_calls(server: ScriptedServer) -> None:
    server.otherwise = Account()
    read(server, date(2025, 12, 6), date(2026, 11, 20), rows_per_bucket=100)
    assert [asked["limit"] for asked in server.asked] == ["180", "180"]
    assert server.asked[1].all("page")


def test_page_shrinks_when_days_turn_out_large(server: ScriptedServer) -> None:
    server.otherwise = Account(rows=lambda day: 5_001 if day == JANUARY else 1)
    pages = read(server, JANUARY, date(2026, 1, 12), rows_per_bucket=10_000)
    assert [asked["limit"] for asked in server.asked] == ["2"] * 6
    assert days(pages) == span(JANUARY, date(2026, 1, 12))


def test_unknown_large_days_shrink_the_second_query(server: ScriptedServer) -> None:
    server.otherwise = Account(rows=lambda day: 1_000 if day == JANUARY else 1)
    read(server, JANUARY, date(2026, 3, 1))
    assert [asked["limit"] for asked in server.asked] == ["31", "25", "25"]
    assert [len(asked.all("page")) for asked in server.asked] == [0, 0, 1]


@pytest.mark.parametrize(("end", "limits"), [(16, ["46"]), (17, ["31", "31"])])
def test_half_as_many_more_days_are_asked_for_at_once(
    server: ScriptedServer, end: int, limits: list[str]
) -> None:
    server.otherwise = Account(rows=lambda _: 1)
    read(server, JANUARY, date(2026, 2, end))
    assert [asked["limit"] for asked in server.asked] == limits


def test_silent_clamp_is_followed_by_token(server: ScriptedServer) -> None:
    server.otherwise = Account(clamp=31)
    pages = read(server, JANUARY, date(2026, 6, 1), rows_per_bucket=1)
    assert days(pages) == span(JANUARY, date(2026, 6, 1))
    assert {asked["limit"] for asked in server.asked} == {"151"}
    assert len(server.asked) == 5


def test_server_that_gives_less_than_asked_is_not_asked_for_more(server: ScriptedServer) -> None:
    server.otherwise = Account(clamp=7)
    read(server, JANUARY, date(2026, 3, 1))
    assert {asked["limit"] for asked in server.asked} == {"31"}
    assert {asked.days[0] for asked in server.asked} == {JANUARY}


def test_last_page_may_carry_an_empty_token(server: ScriptedServer) -> None:
    server.play(Reply(page(bucket(JANUARY), has_more=False, next_page="")))
    assert days(read(server, JANUARY, date(2026, 1, 2))) == [JANUARY]


def test_missing_has_more_goes_by_the_token(server: ScriptedServer) -> None:
    first, last = page(bucket(JANUARY), next_page="t"), page(bucket(date(2026, 1, 2)))
    for answer in (first, last):
        del answer["has_more"]
    server.play(Reply(first), Reply(last))
    pages = read(server, JANUARY, date(2026, 1, 3), rows_per_bucket=100_000)
    assert days(pages) == span(JANUARY, date(2026, 1, 3))


def test_range_is_split_where_grouping_by_key_begins(server: ScriptedServer) -> None:
    server.otherwise = Account()
    pages = read(server, date(2025, 12, 1), date(2025, 12, 10))

    before, after = server.asked
    assert before.days == (date(2025, 12, 1), date(2025, 12, 6))
    assert before.all("group_by[]") == ["project_id", "line_item"]
    assert after["start_time"] == "1764979200"
    assert after.all("group_by[]") == ["project_id", "line_item", "api_key_id"]
    signatures = {bucket.day: bucket.query_signature for page in pages for bucket in page.buckets}
    assert signatures[date(2025, 12, 5)] == "project_id,line_item"
    assert signatures[date(2025, 12, 6)] == "project_id,line_item,api_key_id"
    assert [page.number for page in pages] == [1, 2]


def test_buckets_outside_the_window_are_ignored(server: ScriptedServer) -> None:
    outside = [bucket(date(2025, 12, 31), row("NaN")), bucket(date(2026, 1, 3), row())]
    server.play(Reply(page(outside[0], bucket(JANUARY), bucket(date(2026, 1, 2)), outside[1])))
    assert days(read(server, JANUARY, date(2026, 1, 3))) == span(JANUARY, date(2026, 1, 3))


def test_order_within_a_page_does_not_matter(server: ScriptedServer) -> None:
    server.play(Reply(page(*(bucket(day) for day in reversed(span(JANUARY, date(2026, 1, 5)))))))
    assert days(read(server, JANUARY, date(2026, 1, 5))) == span(JANUARY, date(2026, 1, 5))


def test_empty_page_that_promises_more_is_followed(server: ScriptedServer) -> None:
    server.play(Reply(page(next_page="a")), Reply(page(bucket(JANUARY))))
    pages = read(server, JANUARY, date(2026, 1, 2))
    assert [page.number for page in pages] == [2]


def test_start_not_before_end_asks_nothing(server: ScriptedServer) -> None:
    assert read(server, JANUARY, JANUARY) == []
    assert server.asked == []


def second(**fields: Any) -> dict[str, Any]:
    return page(bucket(date(2026, 1, 2)), bucket(date(2026, 1, 3)), **fields)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (second(next_page="t1"), "repeats an earlier page's token"),
        (second(has_more=True, next_page=None), "has_more but gives no next_page"),
        (second(has_more=True, next_page=""), "has_more but gives no next_page"),
        ({"object": "page", "has_more": False}, "not a page of buckets"),
        ({"object": "page", "data": None, "has_more": False}, "not a page of buckets"),
        ([], "not a page of buckets"),
        (page({"object": "bucket", "results": []}), "not a page of buckets"),
        (page({"object": "bucket", "start_time": unix(date(2026, 1, 2))}), "not a page of buckets"),
        (page(None), "not a page of buckets"),
        (page(bucket(date(2026, 1, 2)) | {"results": None}), "unreadable results on 2026-01-02"),
        (page(bucket(date(2026, 1, 2))), "was no bucket for 2026-01-03"),
        (page(), "was no bucket for 2026-01-02"),
        (page(bucket(date(2026, 1, 3))), "has no bucket for 2026-01-02"),
        (page(*[bucket(date(2026, 1, 2))] * 2), "brings 2026-01-02 twice"),
        (page(bucket(JANUARY), bucket(date(2026, 1, 2))), "brings 2026-01-01 twice"),
        (page(bucket(date(2026, 1, 2), start_time=unix(date(2026, 1, 2)) + 60)), "within a day"),
        (
            page(
                bucket(date(2026, 1, 2), row(organization_id="org-a")),
                bucket(date(2026, 1, 3), row(organization_id="org-b"), row(organization_id=None)),
            ),
            "mixes the organizations org-a, org-b",
        ),
    ],
)
def test_broken_page_fails_loudly_and_counts_for_nothing(
    server: ScriptedServer, answer: object, words: str
) -> None:
    # The clamp makes the client follow the token, so that both pages belong to one query.
    server.play(Reply(page(bucket(JANUARY), next_page="t1")), Reply(answer))
    with server.client() as client:
        pages = client.costs(JANUARY, date(2026, 1, 4), rows_per_bucket=None)
        assert days([next(pages)]) == [JANUARY]
        with pytest.raises(OpenAIError) as caught:
            next(pages)
    assert caught.value.reason == "broken_answer"
    assert words in caught.value.message
    assert "Team 'growth'" in caught.value.message
    assert "page 2 of the costs from 2026-01-01 to 2026-01-03" in caught.value.message
    assert caught.value.fix
    assert len(server.asked) == 2, "a broken page is not asked again"


def test_server_that_goes_in_circles_is_left(server: ScriptedServer) -> None:
    numbers = iter(range(10_000))
    server.otherwise = lambda _: Reply(page(next_page=f"t{next(numbers)}"))
    with pytest.raises(OpenAIError, match="brought no new day") as caught:
        read(server, JANUARY, date(2026, 1, 4))
    assert caught.value.reason == "broken_answer"
    assert len(server.asked) == 3


def test_rows_of_one_organization_and_of_none_are_fine(server: ScriptedServer) -> None:
    server.play(
        Reply(
            page(
                bucket(JANUARY, row(organization_id="org-a"), row(organization_id=None)),
                bucket(date(2026, 1, 2)),
            )
        )
    )
    (answer,) = read(server, JANUARY, date(2026, 1, 3))
    assert [bucket.organization_id for bucket in answer.buckets] == ["org-a", "org-a"]
    assert answer.buckets[0].rows["organization_id"].to_pylist() == ["org-a", None]


def rows_of(seed: int) -> Callable[[date], int]:
    """Bucket sizes that vary, up to what makes pages of one bucket necessary."""
    return lambda day: (0, 1, 3, 400, 2_000)[(day.toordinal() * seed) % 5]


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    first=st.integers(-60, 60),
    length=st.integers(1, 200),
    clamp=st.integers(1, 200),
    rows_per_bucket=st.none() | st.integers(0, 60_000),
    seed=st.integers(0, 4),
)
def test_every_day_arrives_exactly_once(
    lasting_server: ScriptedServer,
    first: int,
    length: int,
    clamp: int,
    rows_per_bucket: int | None,
    seed: int,
) -> None:
    start = date(2025, 12, 6) + timedelta(days=first)
    end = start + timedelta(days=length)
    clamp = max(clamp, length // 20 + 1)
    rows = rows_of(seed) if length < 40 else (lambda day: day.toordinal() * seed % 7)
    lasting_server.asked.clear()
    lasting_server.otherwise = Account(rows=rows, clamp=clamp)

    pages = read(lasting_server, start, end, rows_per_bucket)

    assert days(pages) == span(start, end)
    assert [b.rows.num_rows for p in pages for b in p.buckets] == [
        rows(d) for d in span(start, end)
    ]
    assert [page.number for page in pages] == list(range(1, len(pages) + 1))
    for asked in lasting_server.asked:
        assert 1 <= int(asked["limit"]) <= 180
        if "api_key_id" in asked.all("group_by[]"):
            assert day_of(int(asked["start_time"])) >= date(2025, 12, 6)

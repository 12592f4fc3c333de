"""No day is yielded that is not over by the API's own clock."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from finops_pipeline.openai_admin import OpenAIError
from tests.openai_admin.conftest import Account, Asked, Reply, ScriptedServer, bucket, page

START = date(2026, 11, 15)
END = date(2026, 11, 25)
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
CLOSED = [START + timedelta(days=number) for number in range(5)]


class Strict(Account):
    """An account that refuses an end in its future, as OpenAI has been seen to do."""

    status = 400

    def __call__(self, asked: Asked) -> Reply:
        if asked.days[1] > self.now.date():
            return Reply({"error": {"message": "bad end_time"}}, self.status, date=self.now)
        return super().__call__(asked)


def read(server: ScriptedServer) -> list[date]:
    with server.client() as client:
        return [
            bucket.day
            for page in client.costs(START, END, rows_per_bucket=None)
            for bucket in page.buckets
        ]


def test_clock_is_that_of_the_newest_answer(server: ScriptedServer) -> None:
    server.otherwise = Account(now=NOON)
    with server.client() as client:
        assert client.server_time is None
        assert client.first_open_day is None
        list(client.costs(START, START + timedelta(days=1), rows_per_bucket=None))
        assert client.server_time == NOON
        assert client.first_open_day == date(2026, 11, 20)


def test_days_that_are_not_over_are_cut_from_a_success(server: ScriptedServer) -> None:
    server.otherwise = Account(now=NOON)
    assert read(server) == CLOSED


@pytest.mark.parametrize("status", [400, 422, 500])
def test_end_in_the_servers_future_is_asked_again_without_it(
    server: ScriptedServer, status: int
) -> None:
    server.otherwise = account = Strict(now=NOON)
    account.status = status
    assert read(server) == CLOSED
    assert [asked.days[1] for asked in server.asked] == [END, date(2026, 11, 20)]


def test_rest_of_a_range_is_asked_without_the_open_days(server: ScriptedServer) -> None:
    server.otherwise = Account(now=NOON)
    with server.client() as client:
        pages = client.costs(START, END, rows_per_bucket=10_000)
        assert [b.day for p in pages for b in p.buckets] == CLOSED
    assert [asked.days[1] for asked in server.asked] == [END, *[date(2026, 11, 20)] * 2]


def test_known_clock_cuts_before_asking(server: ScriptedServer) -> None:
    server.otherwise = Account(now=NOON)
    with server.client() as client:
        server.play(Reply({"data": [], "has_more": False}, date=NOON))
        client.projects()
        list(client.costs(START, END, rows_per_bucket=None))
        assert server.asked[-1].days == (START, date(2026, 11, 20))
        assert list(client.costs(date(2026, 11, 20), END, rows_per_bucket=None)) == []
        assert client.calls == 2


def test_error_that_has_nothing_to_do_with_the_clock_stays(server: ScriptedServer) -> None:
    server.otherwise = lambda _: Reply({"error": {"message": "bad"}}, 400, date=NOON)
    with pytest.raises(OpenAIError, match="from 2026-11-15 to 2026-11-19"):
        read(server)
    assert len(server.asked) == 2


def test_refused_key_is_no_matter_of_the_clock(server: ScriptedServer) -> None:
    body = {"error": {"message": "Missing scopes: api.usage.read"}}
    server.otherwise = lambda _: Reply(body, 403, date=NOON)
    with pytest.raises(OpenAIError, match=r"api\.usage\.read"):
        read(server)
    assert len(server.asked) == 1


def test_day_is_over_at_midnight(server: ScriptedServer) -> None:
    server.otherwise = Account(now=datetime(2026, 11, 19, 23, 59, 59, tzinfo=UTC))
    assert read(server) == CLOSED[:-1]
    server.otherwise = Account(now=datetime(2026, 11, 20, tzinfo=UTC))
    assert read(server) == CLOSED


def test_midnight_passes_between_two_pages(server: ScriptedServer) -> None:
    """A second machine behind the same address may still live in yesterday."""
    first = page(*(bucket(day) for day in CLOSED[:2]), next_page="t")
    rest = page(*(bucket(day) for day in CLOSED[2:]))
    before = datetime(2026, 11, 19, 23, 59, 59, tzinfo=UTC)
    server.play(Reply(first, date=NOON), Reply(rest, date=before))
    with server.client() as client:
        pages = client.costs(START, date(2026, 11, 20), rows_per_bucket=40_000)
        assert [b.day for p in pages for b in p.buckets] == CLOSED[:-1]


@pytest.mark.parametrize("said", [None, "yesterday", "Fri, 99 Nov 2026 12:00:00 GMT"])
def test_answer_without_a_usable_date_tells_no_time(
    server: ScriptedServer, said: str | None
) -> None:
    headers = {} if said is None else {"Date": said}
    server.play(Reply(page(bucket(START)), headers=headers, date=None))
    with server.client() as client:
        pages = list(client.costs(START, START + timedelta(days=1), rows_per_bucket=None))
        assert [bucket.day for page in pages for bucket in page.buckets] == [START]
        assert client.server_time is None


def test_nothing_is_over_yet(server: ScriptedServer) -> None:
    server.otherwise = Strict(now=datetime(2026, 11, 15, 3, tzinfo=UTC))
    assert read(server) == []

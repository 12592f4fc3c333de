"""Retries, time limits, redirects and keys, over real HTTP."""

from __future__ import annotations

import socket
import time
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from finops_pipeline.errors import UsageError
from finops_pipeline.openai_admin import AdminClient, OpenAIError, RetryPolicy
from tests.openai_admin.conftest import FAST, KEY, Reply, ScriptedServer, bucket, page, row

DAY = date(2026, 1, 1)
NEXT = date(2026, 1, 2)
GOOD = Reply(page(bucket(DAY, row())))


def read(client: AdminClient) -> int:
    pages = client.costs(DAY, NEXT, rows_per_bucket=None)
    return sum(bucket.rows.num_rows for page in pages for bucket in page.buckets)


def error(message: str = "", code: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": None, "param": None, "code": code}}


def failure(server: ScriptedServer, **options: Any) -> OpenAIError:
    with server.client(**options) as client, pytest.raises(OpenAIError) as caught:
        read(client)
    return caught.value


@pytest.mark.parametrize(
    "fault",
    [
        Reply(error("slow down"), 429),
        Reply(error("slow down"), 429, headers={"Retry-After": "0"}),
        Reply(error("slow down"), 429, headers={"Retry-After": "soon"}),
        Reply(error(), 500),
        Reply(b"<html>", 502),
        Reply(error(), 503, headers={"Retry-After": "0"}),
        Reply(error("Not found"), 404),
        Reply(drop=True),
        Reply(GOOD.body, cut=40),
        Reply(GOOD.body, cut=0),
        Reply(b'{"object": "page", "data": ['),
        Reply(b""),
        Reply(b"<html>maintenance</html>"),
        Reply(b"\x1f\x8bnot gzip", headers={"Content-Encoding": "gzip"}),
    ],
    ids=lambda fault: f"{fault.status}-{fault.body!r:.20}-{fault.headers}-{fault.cut}",
)
def test_passing_fault_is_overcome(server: ScriptedServer, fault: Reply) -> None:
    server.play(fault, fault, GOOD)
    with server.client() as client:
        assert read(client) == 1
        assert client.calls == len(server.asked) == 3


@pytest.mark.parametrize(
    ("fault", "reason", "words"),
    [
        (Reply(error("slow down"), 429), "rate_limited", "too many requests (429: slow down)"),
        (Reply(error("boom"), 500), "outage", "OpenAI answered 500: boom"),
        (Reply(error(), 404), "outage", "OpenAI answered 404 without a reason"),
        (Reply(drop=True), "broken_answer", "broke off"),
        (Reply(GOOD.body, cut=40), "broken_answer", "broke off"),
        (Reply(b"{"), "broken_answer", "not complete JSON"),
    ],
)
def test_lasting_fault_ends_after_the_last_attempt(
    server: ScriptedServer, fault: Reply, reason: str, words: str
) -> None:
    server.otherwise = lambda _: fault
    caught = failure(server)
    assert caught.reason == reason
    assert words in caught.message
    assert "Team 'growth', page 1 of the costs from 2026-01-01 to 2026-01-01" in caught.message
    assert "(tried 4 times)" in caught.message
    assert caught.fix
    assert "{" not in caught.fix
    assert len(server.asked) == 4


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply(error("Unsupported"), 400), "broken_answer"),
        (Reply(error("Missing scopes: api.usage.read"), 401), "missing_scope"),
        (Reply(error("Insufficient permissions"), 403), "missing_scope"),
        (Reply(error("You exceeded your current quota"), 429), "rate_limited"),
    ],
)
def test_refusal_is_not_repeated(server: ScriptedServer, reply: Reply, reason: str) -> None:
    server.play(reply)
    caught = failure(server)
    assert caught.reason == reason
    assert "tried" not in caught.message
    assert len(server.asked) == 1


def test_fix_names_the_team(server: ScriptedServer) -> None:
    server.play(Reply(error("Incorrect API key", "invalid_api_key"), 401))
    assert "`finops key rotate growth`" in failure(server).fix


def test_silence_is_an_outage(server: ScriptedServer) -> None:
    server.otherwise = lambda _: Reply(GOOD.body, delay=0.15)
    caught = failure(server, retry=replace(FAST, attempts=2, read=0.03))
    assert caught.reason == "outage"
    assert "did not answer in time" in caught.message


def test_nobody_listens() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        with (
            AdminClient(team_id="growth", base_url=url, api_key=lambda: KEY, retry=FAST) as client,
            pytest.raises(OpenAIError, match="cannot be reached") as caught,
        ):
            read(client)
    assert caught.value.reason == "outage"
    assert client.calls == 4


def test_retry_after_is_waited(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)
    server.play(Reply(error(), 429, headers={"Retry-After": "3"}), Reply(error(), 500), GOOD)
    with server.client() as client:
        read(client)
    # The server's own sleeps of no time are in the list, too.
    assert [wait for wait in waits if wait] == [3.0, pytest.approx(0.002)]


def test_retry_after_beyond_the_bound_fails_at_once(server: ScriptedServer) -> None:
    server.play(Reply(error("busy"), 429, headers={"Retry-After": "3600"}))
    caught = failure(server)
    assert caught.reason == "rate_limited"
    assert "asks to wait 3600 s, longer than the 5 s" in caught.message
    assert len(server.asked) == 1


def test_total_time_is_bounded(server: ScriptedServer) -> None:
    server.otherwise = lambda _: Reply(error(), 500, delay=0.02)
    caught = failure(server, retry=replace(FAST, attempts=1000, total=0.1))
    assert caught.reason == "outage"
    assert 1 < len(server.asked) <= 5


def test_wait_that_might_pass_the_bound_is_not_begun(server: ScriptedServer) -> None:
    server.otherwise = lambda _: Reply(error(), 500)
    failure(server, retry=replace(FAST, total=0.1, first_wait=0.15, max_wait=0.15))
    assert len(server.asked) == 1


def test_answer_that_trickles_is_left_at_the_bound(server: ScriptedServer) -> None:
    body = b" " * 1_000
    server.otherwise = lambda _: Reply(body, trickle=0.001)
    caught = failure(server, retry=replace(FAST, attempts=2, total=0.3))
    assert "did not answer in time" in caught.message
    assert len(server.asked) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308, 304])
def test_redirect_is_refused_and_the_key_stays_here(server: ScriptedServer, status: int) -> None:
    with ScriptedServer() as elsewhere:
        elsewhere.otherwise = lambda _: GOOD
        server.play(Reply(b"", status, headers={"Location": f"{elsewhere.base_url}/x"}))
        caught = failure(server)
        assert elsewhere.asked == []
    assert caught.reason == "broken_answer"
    assert f"redirect ({status})" in caught.message
    assert len(server.asked) == 1


def test_environment_sends_the_key_nowhere(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ScriptedServer() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.base_url)
        monkeypatch.setenv("NO_PROXY", "")
        server.play(GOOD)
        with server.client() as client:
            assert read(client) == 1
        assert proxy.asked == []


REFUSED = Reply(error(f"Incorrect API key provided: {KEY}", "invalid_api_key"), 401)


def test_rotated_key_is_taken_up_in_mid_run(server: ScriptedServer) -> None:
    keys = iter(["sk-admin-old", "sk-admin-new"])
    server.play(
        Reply(page(bucket(DAY, row()), next_page="t")), REFUSED, Reply(page(bucket(NEXT, row())))
    )
    with server.client(api_key=keys.__next__) as client:
        pages = list(client.costs(DAY, date(2026, 1, 3), rows_per_bucket=100_000))
    assert len(pages) == 2
    sent = [asked.authorization for asked in server.asked]
    assert sent == ["Bearer sk-admin-old", "Bearer sk-admin-old", "Bearer sk-admin-new"]


def test_same_key_again_is_not_sent_again(server: ScriptedServer) -> None:
    read_again: list[int] = []

    def key() -> str:
        read_again.append(1)
        return KEY

    server.otherwise = lambda _: REFUSED
    assert failure(server, api_key=key).reason == "bad_key"
    assert len(server.asked) == 1
    assert len(read_again) == 2


def test_keys_that_rotate_for_ever_are_given_up(server: ScriptedServer) -> None:
    numbers = iter(range(100))
    server.otherwise = lambda _: REFUSED
    caught = failure(server, api_key=lambda: f"sk-admin-{next(numbers)}")
    assert caught.reason == "bad_key"
    assert len(server.asked) == 2


def test_missing_scope_does_not_read_the_key_again(server: ScriptedServer) -> None:
    keys = iter(["sk-admin-old"])
    server.play(Reply(error("Missing scopes: api.usage.read"), 401))
    assert failure(server, api_key=keys.__next__).reason == "missing_scope"


def test_failure_to_get_the_key_passes_through(server: ScriptedServer) -> None:
    def no_key() -> str:
        raise UsageError("No key.", "Register one.")

    with server.client(api_key=no_key) as client, pytest.raises(UsageError, match="No key"):
        read(client)
    assert server.asked == []


def test_policy_of_production_is_patient_and_bounded() -> None:
    policy = RetryPolicy()
    assert (policy.attempts, policy.total, policy.connect, policy.read) == (6, 300, 10, 60)

"""A server on loopback that answers by script and remembers what it was asked."""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

import pytest

from finops_pipeline.openai_admin import AdminClient, RetryPolicy

KEY = "sk-admin-T3stT3stT3st"
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
FAST = RetryPolicy(
    attempts=4, total=5.0, first_wait=0.001, max_wait=0.002, jitter=0.0, connect=1.0, read=1.0
)


@dataclass(frozen=True)
class Reply:
    """One scripted answer.

    ``drop`` closes without a word, ``cut`` after that many bytes of the body; ``delay`` is the
    seconds before the answer, ``trickle`` those between its bytes.
    """

    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    date: datetime | None = NOW
    drop: bool = False
    cut: int | None = None
    delay: float = 0.0
    trickle: float = 0.0

    def wire(self) -> bytes:
        body = self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()
        headers = {"Content-Type": "application/json", "Content-Length": str(len(body))}
        if self.date:
            headers["Date"] = format_datetime(self.date, usegmt=True)
        lines = [f"{name}: {value}" for name, value in (headers | self.headers).items()]
        head = "\r\n".join([f"HTTP/1.1 {self.status} Scripted", *lines]) + "\r\n\r\n"
        return head.encode("latin-1") + body[: self.cut]


@dataclass(frozen=True)
class Asked:
    """One request as it came."""

    path: str
    params: tuple[tuple[str, str], ...]
    authorization: str | None
    raw_query: str

    def __getitem__(self, name: str) -> str:
        (value,) = self.all(name)
        return value

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.params if key == name]

    @property
    def days(self) -> tuple[date, date]:
        """First day and the day after the last, as asked."""
        return day_of(int(self["start_time"])), day_of(int(self["end_time"]))


class ScriptedServer:
    """Plays queued replies in order, then whatever ``otherwise`` makes of a request."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.script: deque[Reply] = deque()
        self.otherwise: Callable[[Asked], Reply] = lambda _: Reply({"error": "no script"}, 418)
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                url = urlsplit(self.path)
                asked = Asked(
                    path=url.path,
                    params=tuple(parse_qsl(url.query, keep_blank_values=True)),
                    authorization=self.headers["Authorization"],
                    raw_query=url.query,
                )
                server.asked.append(asked)
                reply = server.script.popleft() if server.script else server.otherwise(asked)
                time.sleep(reply.delay)
                self.close_connection = reply.drop or reply.cut is not None
                if reply.drop:
                    return
                # In one piece: two small writes would wait for a delayed acknowledgement.
                answer = reply.wire()
                step = 1 if reply.trickle else len(answer)
                for start in range(0, len(answer), step):
                    self.wfile.write(answer[start : start + step])
                    time.sleep(reply.trickle)

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                """A client that leaves early is part of the play."""

        self._http = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}/v1"

    def play(self, *replies: Reply) -> None:
        self.script.extend(replies)

    def client(
        self, api_key: Callable[[], str] = lambda: KEY, retry: RetryPolicy = FAST
    ) -> AdminClient:
        return AdminClient(team_id="growth", base_url=self.base_url, api_key=api_key, retry=retry)


def day_of(seconds: int) -> date:
    return datetime.fromtimestamp(seconds, UTC).date()


def unix(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


def row(value: Any = 0.1, **fields: Any) -> dict[str, Any]:
    return {
        "object": "organization.costs.result",
        "amount": {"value": value, "currency": "usd"},
        "line_item": "gpt-4o-2024-08-06, input",
        "project_id": "proj_a",
    } | fields


def bucket(day: date, *rows: Any, **fields: Any) -> dict[str, Any]:
    return {
        "object": "bucket",
        "start_time": unix(day),
        "end_time": unix(day) + 86400,
        "results": list(rows),
    } | fields


def page(*buckets: Any, next_page: str | None = None, **fields: Any) -> dict[str, Any]:
    return {
        "object": "page",
        "data": list(buckets),
        "has_more": next_page is not None,
        "next_page": next_page,
    } | fields


@dataclass
class Account:
    """Answers costs as the API does: pages bound to their query, a clamp, rows per day."""

    rows: Callable[[date], int] = lambda _: 1
    clamp: int = 180
    now: datetime = NOW

    def __call__(self, asked: Asked) -> Reply:
        query = [pair for pair in asked.params if pair[0] != "page"]
        first, end = asked.days
        offset = 0
        if tokens := asked.all("page"):
            bound, offset = json.loads(tokens[0].removeprefix("page=="))
            if bound != [list(pair) for pair in query]:
                return Reply({"error": {"message": "page of another query"}}, 400, date=self.now)
        span = (end - first).days
        upto = min(offset + min(int(asked["limit"]), self.clamp), span)
        days = [first + timedelta(days=number) for number in range(offset, upto)]
        token = None if upto == span else "page==" + json.dumps([query, upto])
        buckets = (bucket(day, *[row(0.1)] * self.rows(day)) for day in days)
        return Reply(page(*buckets, next_page=token), date=self.now)


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as scripted:
        yield scripted


@pytest.fixture(scope="module")
def lasting_server() -> Iterator[ScriptedServer]:
    """For property tests, which must not get a new server for each example."""
    with ScriptedServer() as scripted:
        yield scripted

"""One GET of OpenAI's organization API: key, retries, bounded time, and the server's clock."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from io import BytesIO
from ssl import SSLContext
from typing import TypeVar

import httpx
import stamina
from stamina.instrumentation import set_on_retry_hooks

from finops_pipeline.openai_admin.errors import (
    FIXES,
    BrokenBodyError,
    BrokenPageError,
    OpenAIError,
    Reason,
    quoted,
    refusal,
)

T = TypeVar("T")
Params = Sequence[tuple[str, str | int]]

# stamina's own hooks know neither team nor page, and print where structlog is installed.
set_on_retry_hooks([])

_log = logging.getLogger(__name__)

_USABLE_KEY = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True)
class RetryPolicy:
    """How patient one call is. All times in seconds.

    Attributes:
        attempts: Most requests per call, the first included.
        total: Longest time for all attempts of one call, waits and downloads included; silence in
            the last answer may pass it by at most ``read``.
        first_wait: Wait before the second attempt; doubles from there.
        max_wait: Longest wait between attempts. A ``Retry-After`` may be longer, within ``total``.
        jitter: Up to this much is added to a wait, so that teams do not retry in step.
        connect: Longest time to connect.
        read: Longest silence while waiting for an answer or its next piece.
    """

    attempts: int = 6
    total: float = 300.0
    first_wait: float = 0.5
    max_wait: float = 30.0
    jitter: float = 0.5
    connect: float = 10.0
    read: float = 60.0


class _AttemptError(Exception):
    """One attempt's failure. ``wait``: seconds the server asked for; None: the usual backoff."""

    def __init__(
        self, reason: Reason, text: str, *, fix: str = "", again: bool, wait: float | None = None
    ) -> None:
        super().__init__(text)
        self.reason: Reason = reason
        self.text = text
        self.fix = fix or FIXES[reason]
        self.again = again
        self.wait = wait


class _Bearer(httpx.Auth):
    """Sets the header at the last moment; httpx masks it in the repr of requests."""

    def __init__(self, key: str) -> None:
        self.key = key

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["Authorization"] = f"Bearer {self.key}"
        yield request


@cache
def _tls() -> SSLContext:
    """One context for all clients: reading the certificate authorities takes 20 ms."""
    return httpx.create_ssl_context(trust_env=False)


class Transport:
    """Sends one team's requests to one host and decodes the answers.

    The environment is not asked for proxies, ``.netrc`` or certificates: where the key goes is
    decided by settings alone, and a stray ``HTTP_PROXY`` must not see the loopback key of a demo.

    Args:
        before_request: Called before each request is sent, retries included; may wait.
    """

    def __init__(
        self,
        *,
        team_id: str,
        base_url: str,
        api_key: Callable[[], str],
        retry: RetryPolicy,
        before_request: Callable[[], None] = lambda: None,
    ) -> None:
        self.team_id = team_id
        self.server_time: datetime | None = None
        self.calls = 0
        self._base_url = base_url.rstrip("/")
        self._read_key = api_key
        self._auth: _Bearer | None = None
        self._before_request = before_request
        self.retry = retry
        self._http = httpx.Client(
            verify=_tls(),
            trust_env=False,
            follow_redirects=False,
            headers={"Accept": "application/json", "User-Agent": "finops-pipeline"},
        )

    def close(self) -> None:
        """Close connections and forget the key."""
        self._http.close()
        self._auth = None

    @property
    def first_open_day(self) -> date | None:
        """The server's today (UTC): the first day that is not over by the API's own clock."""
        return self.server_time.date() if self.server_time else None

    def error(self, reason: Reason, subject: str, text: str, fix: str = "") -> OpenAIError:
        """An error that names this team; ``subject`` says which page of what."""
        fix = (fix or FIXES[reason]).replace("{team}", self.team_id)
        return OpenAIError(reason, f"Team '{self.team_id}', {subject}: {text}.", fix)

    def get(
        self,
        path: str,
        params: Params,
        *,
        subject: str,
        decode: Callable[[bytes, datetime], T],
        pointless: Callable[[], bool] = lambda: False,
        retry: RetryPolicy | None = None,
        optional: bool = False,
    ) -> T:
        """GET ``path`` until an answer decodes, within the retry policy.

        Args:
            path: Below the base URL, with its slash.
            params: Query parameters, repeated names allowed.
            subject: What is read, for error messages.
            decode: Turns a body, and when it had arrived (UTC, by our clock), into a value; raises
                BrokenBodyError (asked again) or BrokenPageError (not).
            pointless: Asked after each failure; true means that this request cannot succeed.
            retry: How patient this call is; by default as the transport.
            optional: Whether 400 and 404 mean that the organization does without what is asked
                for (``unsupported``, not asked again).

        Raises:
            OpenAIError: what went wrong, for which team and subject, and what to do.
        """
        retry = retry or self.retry
        deadline = time.monotonic() + retry.total
        rotated = False
        sent = 0

        def backoff(error: Exception) -> bool | float:
            # The last wait must end before the deadline, or the bound would not be one.
            rest = deadline - time.monotonic()
            if not isinstance(error, _AttemptError) or not error.again or pointless():
                return False
            _log.info("Team '%s', %s: %s; asking again", self.team_id, subject, error.text)
            if error.wait is None:
                return rest > retry.max_wait
            return error.wait

        try:
            for attempt in stamina.retry_context(
                on=backoff,
                attempts=retry.attempts,
                timeout=retry.total,
                wait_initial=retry.first_wait,
                wait_max=retry.max_wait,
                wait_jitter=retry.jitter,
            ):
                with attempt:
                    while True:
                        sent += 1
                        try:
                            return self._once(path, params, deadline, decode, optional)
                        except _AttemptError as failed:
                            if failed.reason != "bad_key" or rotated or not self._rotate():
                                raise
                            rotated = True
        except _AttemptError as failed:
            tried = f" (tried {sent} times)" if sent > 1 else ""
            failure = self.error(failed.reason, subject, f"{failed.text}{tried}", failed.fix)
        # Outside the except block: nothing of httpx, which knows the headers, stays attached.
        raise failure

    def _once(
        self,
        path: str,
        params: Params,
        deadline: float,
        decode: Callable[[bytes, datetime], T],
        optional: bool,
    ) -> T:
        response, body = self._exchange(path, params, deadline)
        received_at = datetime.now(UTC)
        if response.is_redirect:
            raise _AttemptError(
                "broken_answer",
                f"OpenAI answered with a redirect ({response.status_code}), which is refused so "
                "that the key goes to no other host",
                fix="Check FINOPS_OPENAI_BASE_URL.",
                again=False,
            )
        if not response.is_success:
            raise self._refused(response, body, deadline, optional)
        try:
            return decode(body, received_at)
        except BrokenBodyError as bad:
            failed = _AttemptError("broken_answer", f"the answer {bad}", again=True)
        except BrokenPageError as bad:
            failed = _AttemptError("broken_answer", f"the answer {bad}", again=False)
        raise failed

    def _exchange(self, path: str, params: Params, deadline: float) -> tuple[httpx.Response, bytes]:
        """Send one request and read all of its answer before the deadline."""
        retry = self.retry
        auth = self._key()
        self._before_request()
        rest = max(deadline - time.monotonic(), 0.001)
        answering = False
        self.calls += 1
        try:
            with self._http.stream(
                "GET",
                f"{self._base_url}{path}",
                params=httpx.QueryParams(list(params)),
                auth=auth,
                timeout=httpx.Timeout(min(retry.read, rest), connect=min(retry.connect, rest)),
            ) as response:
                answering = True
                self._read_clock(response)
                body = BytesIO()  # hands out what it grew; joined pieces would take twice the room
                for piece in response.iter_bytes():
                    body.write(piece)
                    if time.monotonic() > deadline:
                        raise httpx.ReadTimeout("slow answer")
                return response, body.getvalue()
        except httpx.TimeoutException:
            failed = _AttemptError("outage", "OpenAI did not answer in time", again=True)
        except (httpx.RemoteProtocolError, httpx.DecodingError):
            failed = _AttemptError("broken_answer", "the answer broke off", again=True)
        except (httpx.LocalProtocolError, httpx.UnsupportedProtocol, httpx.InvalidURL):
            failed = _AttemptError("outage", "the address of the API is not usable", again=False)
        except httpx.TransportError as error:
            if answering:
                failed = _AttemptError("broken_answer", "the answer broke off", again=True)
            else:
                words = quoted(str(error), auth.key)
                failed = _AttemptError("outage", f"OpenAI cannot be reached ({words})", again=True)
        raise failed

    def _refused(
        self, response: httpx.Response, body: bytes, deadline: float, optional: bool
    ) -> _AttemptError:
        text = response.headers.get("Retry-After", "").strip()
        wait = float(text) if re.fullmatch(r"\d{1,9}", text) else None
        meaning = refusal(
            response.status_code,
            body,
            retry_after=wait,
            secret=self._key().key,
            optional=optional,
        )
        rest = deadline - time.monotonic()
        if meaning.retryable and wait is not None and wait >= rest:
            return _AttemptError(
                meaning.reason,
                f"{meaning.text}; OpenAI asks to wait {wait:.0f} s, longer than the "
                f"{self.retry.total:.0f} s that a call may take",
                fix=meaning.fix,
                again=False,
            )
        return _AttemptError(
            meaning.reason, meaning.text, fix=meaning.fix, again=meaning.retryable, wait=wait
        )

    def _read_clock(self, response: httpx.Response) -> None:
        try:
            said = parsedate_to_datetime(response.headers["Date"])
        except (KeyError, ValueError, OverflowError):
            return
        self.server_time = (said if said.tzinfo else said.replace(tzinfo=UTC)).astimezone(UTC)

    def _key(self) -> _Bearer:
        if self._auth is None:
            self._auth = self._usable(self._read_key())
        return self._auth

    def _rotate(self) -> bool:
        """Read the key again after a refusal; whether it is another one (a rotation in mid-run)."""
        before, self._auth = self._auth, None
        return before is None or self._key().key != before.key

    def _usable(self, key: str) -> _Bearer:
        # h11 would put a header it cannot send, key included, into its exception.
        if not _USABLE_KEY.fullmatch(key):
            raise _AttemptError(
                "bad_key",
                "the registered key is empty or holds spaces or control characters",
                again=False,
            )
        return _Bearer(key)

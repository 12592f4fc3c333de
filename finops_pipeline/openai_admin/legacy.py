"""Reading the legacy usage endpoint: one project's key, one UTC day a call, and slowly."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import date, datetime
from types import TracebackType
from typing import Self

from finops_pipeline.openai_admin.errors import OpenAIError, Reason
from finops_pipeline.openai_admin.legacy_rows import decode_legacy_usage
from finops_pipeline.openai_admin.paging import BucketPage, DayBucket
from finops_pipeline.openai_admin.transport import RetryPolicy, Transport

CALLS_PER_MINUTE = 5
"""What one key may ask of the endpoint. OpenAI never documented it: users report about five, and
the same figure from 429 answers."""

SECONDS_BETWEEN_CALLS = 60.0 / CALLS_PER_MINUTE + 0.2
"""With a margin: a sixth call that arrives a moment before the minute is over costs a 429, and with
it a call's time. Without one that happened about once in seven days of three keys."""

_DEFAULT_RETRY = RetryPolicy()

_KEY_FIX = (
    "Register a working project key with `finops key rotate {team} --type project --project "
    "{project}`."
)
_FIXES: dict[Reason, str] = {
    "bad_key": _KEY_FIX,
    "missing_scope": _KEY_FIX,
    "wrong_organization": _KEY_FIX,
}
"""Where the organization API's errors speak of an admin key."""


class Pacer:
    """Keeps calls apart. For one key, from one thread.

    Args:
        seconds: Shortest time from the beginning of one call to that of the next.
        clock: Monotonic seconds.
        sleep: Waits so many seconds.
    """

    def __init__(
        self,
        seconds: float = SECONDS_BETWEEN_CALLS,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.seconds = seconds
        self._clock = clock
        self._sleep = sleep
        self._last: float | None = None

    def wait(self) -> None:
        """Wait until the next call may begin; the first one need not."""
        if self._last is not None:
            # None has passed by a clock that was put back.
            passed = max(self._clock() - self._last, 0.0)
            if passed < self.seconds:
                self._sleep(self.seconds - passed)
        # Not when it was meant to begin: who slept too long has the next one late as well.
        self._last = self._clock()


class LegacyClient:
    """Reads the legacy usage of one project with an ordinary key of its own.

    A context manager; not for several threads.

    Args:
        team_id, project_id: Our ids, which errors name.
        base_url: The API, ``https://…/v1``; redirects to elsewhere are refused.
        api_key: Gives the project's active key. Called at the first request, and once more when
            OpenAI refuses the key, because it may have been rotated in between.
        openai_project_id: The OpenAI project that the key is registered for.
        pacer: Waited for before each request, those that are tried again included.
        retry: How patient each call is.
    """

    def __init__(
        self,
        *,
        team_id: str,
        project_id: str,
        openai_project_id: str,
        base_url: str,
        api_key: Callable[[], str],
        pacer: Pacer,
        retry: RetryPolicy = _DEFAULT_RETRY,
    ) -> None:
        self.openai_project_id = openai_project_id
        self._team_id = team_id
        self._project_id = project_id
        self._transport = Transport(
            team_id=team_id,
            base_url=base_url,
            api_key=api_key,
            retry=retry,
            before_request=pacer.wait,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._transport.close()

    @property
    def calls(self) -> int:
        """HTTP requests sent so far, retries included."""
        return self._transport.calls

    def usage(self, day: date) -> BucketPage:
        """What the key's project used on a closed UTC day, in one bucket.

        Its rows have :data:`LEGACY_USAGE_SCHEMA`, in the order of the lists; its query signature
        is the OpenAI project that the key is registered for.

        Raises:
            OpenAIError: the day could not be read, is not over by the API's clock, or its answer
                cannot be trusted; names team, project and day.
        """
        subject = f"legacy usage of project '{self._project_id}' on {day}"
        try:
            page = self._transport.get(
                "/usage",
                [("date", day.isoformat())],
                subject=subject,
                decode=lambda body, received_at: self._page(body, day, received_at),
            )
        except OpenAIError as error:
            fix = _FIXES.get(error.reason, error.fix)
            fix = fix.replace("{team}", self._team_id).replace("{project}", self._project_id)
            failure = OpenAIError(error.reason, error.message, fix)
        else:
            today = self._transport.first_open_day
            if today is None or day < today:
                return page
            failure = self._transport.error(
                "broken_answer",
                subject,
                "the day is not over by the API's clock",
                "Run again later.",
            )
        # Outside the except block: nothing of httpx, which knows the headers, stays attached.
        raise failure

    def _page(self, body: bytes, day: date, received_at: datetime) -> BucketPage:
        rows, unknown = decode_legacy_usage(body, day)
        return BucketPage(
            1, received_at, (DayBucket(day, rows, None, self.openai_project_id, unknown),)
        )

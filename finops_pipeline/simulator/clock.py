"""The simulator's clock: the real one until it is set."""

from __future__ import annotations

from datetime import UTC, datetime


class Clock:
    """What time it is in the simulated organization (UTC, whole seconds).

    A clock that was set stands still, so that a test knows which buckets exist.
    """

    def __init__(self, now: datetime | None = None) -> None:
        self._fixed: datetime | None = None
        self.set(now)

    def set(self, now: datetime | None) -> None:
        """Stand still at ``now`` (with a time zone), or run with real time when None."""
        self._fixed = None if now is None else now.astimezone(UTC).replace(microsecond=0)

    def now(self) -> datetime:
        return self._fixed or datetime.now(UTC).replace(microsecond=0)

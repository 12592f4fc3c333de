"""What a collection did, per team and day, and how far it is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal, localcontext
from enum import StrEnum


class Status(StrEnum):
    """How the reading of a bucket ended."""

    OK = "ok"
    FAILED = "failed"
    UNSUPPORTED = "unsupported"
    """The organization does without this endpoint: a gap on record, and no failure."""


@dataclass(frozen=True)
class BucketOutcome:
    """One reading of a (team, endpoint, day) bucket.

    Attributes:
        endpoint: As in the ledger.
        changed: The content is new for this bucket, so its rows landed.
        costs: Sum of the amounts per currency (upper-case ISO 4217).
        error: Why the day was not read; names team and day or page.
    """

    team_id: str
    endpoint: str
    day: date
    status: Status
    row_count: int = 0
    changed: bool = False
    costs: tuple[tuple[str, Decimal], ...] = ()
    error: str | None = None


@dataclass(frozen=True)
class TeamOutcome:
    """What the reading of one team took.

    Attributes:
        calls: HTTP requests, retries included.
        seconds: From the first request to the last bucket.
        errors: Endpoint → why days of it failed, in the order in which they did.
    """

    team_id: str
    calls: int
    seconds: float
    errors: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Collection:
    """The result of one collection.

    Attributes:
        buckets: What this collection read, or failed to.
        read_before: What the runs that it resumes had read.
        rows_landed: Rows of new revisions.
        loads: Loads that were made visible.
    """

    run_id: str
    buckets: list[BucketOutcome] = field(default_factory=list)
    read_before: list[BucketOutcome] = field(default_factory=list)
    teams: list[TeamOutcome] = field(default_factory=list)
    rows_landed: int = 0
    loads: int = 0

    @property
    def failed_teams(self) -> dict[str, str]:
        """Team → why, for every team with a day that failed."""
        return self.failed_at(None)

    def failed_at(self, endpoints: Container[str] | None) -> dict[str, str]:
        """Team → why, for every team that failed at one of these endpoints; None: at any."""
        found = {}
        for team in self.teams:
            errors = {
                endpoint: error
                for endpoint, error in team.errors.items()
                if endpoints is None or endpoint in endpoints
            }
            if errors:
                found[team.team_id] = _in_one(errors)
        return found

    @property
    def calls(self) -> int:
        return sum(team.calls for team in self.teams)


@dataclass(frozen=True)
class Pace:
    """What keeps a collection slow.

    Attributes:
        reason: A sentence without a full stop.
        seconds: How long the collection takes at least.
    """

    reason: str
    seconds: float


@dataclass(frozen=True)
class Progress:
    """How far a collection is.

    Attributes:
        teams / teams_done: Teams to read, and read to their end.
        buckets / buckets_done: (team, endpoint, day) buckets to read, and read or failed.
        buckets_before: Of those done, read by a run that this one resumes.
        rows: New rows so far.
        loads: Loads made visible so far.
        seconds: Since the collection began.
        pace: What keeps the collection slow whatever this machine does; None: nothing.
    """

    teams: int
    teams_done: int
    buckets: int
    buckets_done: int
    buckets_before: int
    rows: int
    loads: int
    seconds: float
    pace: Pace | None = None

    @property
    def seconds_left(self) -> float | None:
        """How long the rest will take at the pace so far; None before anything was read."""
        read = self.buckets_done - self.buckets_before
        if read:
            return self.seconds / read * (self.buckets - self.buckets_done)
        return self.pace.seconds if self.pace else None


def _in_one(errors: Mapping[str, str]) -> str:
    """The first error, and how many endpoints failed for another reason."""
    first, *others = dict.fromkeys(errors.values())
    return f"{first} ({len(others)} more errors, see raw.collections)" if others else first


def in_words(progress: Progress) -> str:
    """One line for a log."""
    left = progress.seconds_left
    return (
        f"{progress.teams_done} of {progress.teams} teams, {progress.buckets_done} of "
        f"{progress.buckets} buckets, {progress.rows} new rows in {progress.seconds:.0f} s"
        + (f"; about {left:.0f} s to go" if left else "")
        + (f" ({progress.pace.reason})." if left and progress.pace else ".")
    )


def add_up(costs: Iterable[tuple[tuple[str, Decimal], ...]]) -> dict[str, Decimal]:
    """Exact sums per currency."""
    totals: dict[str, Decimal] = defaultdict(Decimal)
    # Python's default of 28 digits would round sums with 18 decimals from 10^10 on.
    with localcontext(prec=60):
        for bucket in costs:
            for currency, amount in bucket:
                totals[currency] += amount
    return dict(totals)

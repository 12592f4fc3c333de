"""What a collection did, per team and day, and how far it is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal, localcontext
from enum import StrEnum


class Status(StrEnum):
    """How the reading of a bucket ended."""

    OK = "ok"
    FAILED = "failed"


@dataclass(frozen=True)
class BucketOutcome:
    """One reading of a (team, day) bucket.

    Attributes:
        changed: The content is new for this bucket, so its rows landed.
        costs: Sum of the amounts per currency (upper-case ISO 4217).
        error: Why the reading failed; names team and day or page.
    """

    team_id: str
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
        error: The reason of the first failed day, or none.
    """

    team_id: str
    calls: int
    seconds: float
    error: str | None


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

    def by_day(self) -> dict[date, list[BucketOutcome]]:
        days: dict[date, list[BucketOutcome]] = defaultdict(list)
        for bucket in self.buckets:
            days[bucket.day].append(bucket)
        return days

    @property
    def failed_teams(self) -> dict[str, str]:
        """Team → why, for every team with a day that failed."""
        return {team.team_id: team.error for team in self.teams if team.error is not None}

    @property
    def calls(self) -> int:
        return sum(team.calls for team in self.teams)


@dataclass(frozen=True)
class Progress:
    """How far a collection is.

    Attributes:
        teams / teams_done: Teams to read, and read to their end.
        buckets / buckets_done: (team, day) buckets to read, and read or failed.
        buckets_before: Of those done, read by a run that this one resumes.
        rows: New rows so far.
        loads: Loads made visible so far.
        seconds: Since the collection began.
    """

    teams: int
    teams_done: int
    buckets: int
    buckets_done: int
    buckets_before: int
    rows: int
    loads: int
    seconds: float

    @property
    def seconds_left(self) -> float | None:
        """How long the rest will take at the pace so far; None before anything was read."""
        read = self.buckets_done - self.buckets_before
        return self.seconds / read * (self.buckets - self.buckets_done) if read else None


def in_words(progress: Progress) -> str:
    """One line for a log."""
    left = progress.seconds_left
    return (
        f"{progress.teams_done} of {progress.teams} teams, {progress.buckets_done} of "
        f"{progress.buckets} team-days, {progress.rows} new rows in {progress.seconds:.0f} s"
        + (f"; about {left:.0f} s to go." if left else ".")
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

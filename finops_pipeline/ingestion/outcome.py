"""What a collection did, per team and day."""

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
        rows_landed: Rows of new revisions.
        loads: Loads that were made visible.
    """

    run_id: str
    buckets: list[BucketOutcome] = field(default_factory=list)
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


def add_up(costs: Iterable[tuple[tuple[str, Decimal], ...]]) -> dict[str, Decimal]:
    """Exact sums per currency."""
    totals: dict[str, Decimal] = defaultdict(Decimal)
    # Python's default of 28 digits would round sums with 18 decimals from 10^10 on.
    with localcontext(prec=60):
        for bucket in costs:
            for currency, amount in bucket:
                totals[currency] += amount
    return dict(totals)

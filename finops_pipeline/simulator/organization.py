"""What an organization was billed: rows per day, their restatements, and sums over groupings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import NamedTuple

from finops_pipeline.simulator.catalogue import UsageEndpoint
from finops_pipeline.simulator.consumption import EXACT, Consumers, Consumption
from finops_pipeline.simulator.gaps import Difference, Gaps, Told
from finops_pipeline.simulator.model import SimulatedOrganization
from finops_pipeline.simulator.restatement import RestatedRow, Restatement, UsageRestatement

API_KEY_GROUPING_SINCE = date(2025, 12, 6)
"""The first day of windows that can be grouped by api key (unix time 1764979200)."""


class CostRow(NamedTuple):
    """One billed amount.

    Attributes:
        amount: In ``currency``, exact, with the trailing zeros that the wire shows.
        quantity: None where no quantity stands behind the amount.
        apart: Shown as a result of its own, even beside another one with the same key.
    """

    project_id: str | None
    api_key_id: str | None
    user_id: str | None
    line_item: str | None
    amount: Decimal
    currency: str
    quantity: Decimal | None = None
    quantity_unit: str | None = None
    apart: bool = False


_DAY = timedelta(days=1)


@dataclass
class _Changes:
    """What was restated of one day."""

    restatements: list[Restatement] = field(default_factory=list)
    backwards: bool = False
    padded: bool = False


class Organization:
    """One simulated organization's bill."""

    def __init__(self, simulated: SimulatedOrganization, *, seed: int, start: date) -> None:
        self.simulated = simulated
        self.start = start
        self.gaps = Gaps(simulated)
        self._consumers = Consumers(simulated, seed)
        self._changes: dict[date, _Changes] = {}
        self._usage_factors: dict[tuple[UsageEndpoint, date], Decimal] = {}

    @property
    def first_day(self) -> date:
        """The first UTC day on which there may be a row."""
        return min([self.start, *self._changes])

    def rows(self, day: date, hours: int = 24) -> list[CostRow]:
        """Everything billed for the first ``hours`` hours of a UTC day, as it stands now."""
        rows = self._original(day, hours) if day >= self.start and hours else []
        changes = self._changes.get(day)
        if changes is None:
            return rows
        for restatement in changes.restatements:
            rows = self._restated(rows, restatement)
        return rows[::-1] if changes.backwards else rows

    def used(self, endpoint: UsageEndpoint, day: date, hours: int = 24) -> list[Told]:
        """What a usage endpoint tells of the first ``hours`` hours of a UTC day."""
        if self.gaps.answer(endpoint, day, day + _DAY) is not None:
            return []
        return self.counted(endpoint, day, hours)

    def counted(self, endpoint: UsageEndpoint, day: date, hours: int = 24) -> list[Told]:
        """What a usage endpoint would tell if it answered; the legacy one tells that."""
        if endpoint not in self._consumers.endpoints or not hours:
            return []
        found = [
            told
            for told in self._told_of(day, hours)
            if told.used_on == day and told.used and told.consumed.item.endpoint == endpoint
        ]
        factor = self._usage_factors.get((endpoint, day))
        if factor is None:
            return found
        changed = (
            told._replace(used=int(EXACT.multiply(Decimal(told.used), factor))) for told in found
        )
        return [told for told in changed if told.used]

    def differences(self, day: date, hours: int = 24) -> list[Difference]:
        """Why costs and usage at list price differ on a UTC day; restatements aside."""
        charges = [
            Difference(day, charge.project_id, "charge", charge.amount)
            for charge in self.simulated.charges
            if charge.day == day
        ]
        return [*self.gaps.differences(day, self._told_of(day, hours)), *charges]

    def is_padded(self, day: date) -> bool:
        """Whether amounts of this day are written with one more zero than needed."""
        changes = self._changes.get(day)
        return changes is not None and changes.padded

    def restate(self, day: date, restatement: Restatement) -> None:
        """Change what was billed for a day, from now on."""
        if restatement.operation == "restore":
            self._changes.pop(day, None)
            return
        changes = self._changes.setdefault(day, _Changes())
        if restatement.operation == "reorder":
            changes.backwards = not changes.backwards
        elif restatement.operation == "rewrite_literals":
            changes.padded = not changes.padded
        else:
            changes.restatements.append(restatement)

    def restate_usage(self, day: date, restatement: UsageRestatement) -> None:
        """Change what a usage endpoint tells of a day, from now on."""
        self._usage_factors[restatement.endpoint, day] = restatement.factor

    def restore_all(self) -> list[date]:
        """Undo every restatement; the days whose bill had one."""
        days = list(self._changes)
        self._changes.clear()
        self._usage_factors.clear()
        return days

    def _told_of(self, day: date, hours: int) -> Iterator[Told]:
        """What was consumed on a day, and the day before where usage may come a day late."""
        if self.gaps.move_days and day > self.start:
            yield from self.gaps.told(self._consumers.on(day - _DAY))
        if day >= self.start:
            yield from self.gaps.told(self._consumers.on(day, hours))

    def _original(self, day: date, hours: int) -> list[CostRow]:
        currency = self.simulated.currency
        consumed = self._consumers.on(day, hours)
        if self.simulated.gaps:
            rows = [
                _cost_row(told.consumed, told.billed, currency)._replace(apart=told.bills > 1)
                for told in self.gaps.told(consumed)
                for _ in range(told.bills)
            ]
        else:
            rows = [_cost_row(each, each.amount, currency) for each in consumed]
        rows += [
            CostRow(charge.project_id, None, None, charge.line_item, charge.amount, currency)
            for charge in self.simulated.charges
            if charge.day == day
        ]
        return rows

    def _restated(self, rows: list[CostRow], restatement: Restatement) -> list[CostRow]:
        match restatement.operation:
            case "scale":
                only = restatement.project_id
                return [
                    row._replace(amount=EXACT.multiply(row.amount, restatement.factor))
                    if only is None or row.project_id == only
                    else row
                    for row in rows
                ]
            case "add":
                return rows + [self._billed(row) for row in restatement.rows]
            case "replace":
                return [self._billed(row) for row in restatement.rows]
            case _:
                return []

    def _billed(self, row: RestatedRow) -> CostRow:
        return CostRow(
            row.project_id,
            row.api_key_id,
            row.user_id,
            row.line_item,
            row.amount,
            row.currency or self.simulated.currency,
            row.quantity,
            row.quantity_unit,
            row.apart,
        )


def _cost_row(consumed: Consumption, amount: Decimal, currency: str) -> CostRow:
    return CostRow(
        consumed.project_id,
        consumed.api_key_id,
        consumed.user_id,
        consumed.item.text,
        amount,
        currency,
        Decimal(consumed.quantity),
        consumed.item.unit,
    )


def grouped(rows: Sequence[CostRow], dimensions: frozenset[str]) -> list[CostRow]:
    """Sums of the rows over what is not grouped by, in the order of first appearance.

    Dimensions that are not grouped by are null. Grouping by line item alone still splits by
    project, as the API does, and names it. Quantities appear on line items only.
    """
    by_item = "line_item" in dimensions
    by_project = by_item or "project_id" in dimensions
    by_key = "api_key_id" in dimensions
    by_user = "user_id" in dimensions
    sums: dict[tuple[object, ...], CostRow] = {}
    for number, row in enumerate(rows):
        reduced = row._replace(
            project_id=row.project_id if by_project else None,
            api_key_id=row.api_key_id if by_key else None,
            user_id=row.user_id if by_user else None,
            line_item=row.line_item if by_item else None,
            quantity=row.quantity if by_item else None,
            quantity_unit=row.quantity_unit if by_item else None,
        )
        key = (
            reduced.project_id,
            reduced.api_key_id,
            reduced.user_id,
            reduced.line_item,
            reduced.currency,
            number if row.apart else None,
        )
        earlier = sums.get(key)
        sums[key] = reduced if earlier is None else _sum(earlier, reduced)
    return list(sums.values())


def selected(rows: Iterable[CostRow], only: dict[str, frozenset[str]]) -> list[CostRow]:
    """The rows that have one of the wanted values in each of these dimensions."""
    return [
        row for row in rows if all(getattr(row, name) in wanted for name, wanted in only.items())
    ]


def _sum(one: CostRow, other: CostRow) -> CostRow:
    quantity = one.quantity
    if other.quantity is not None:
        quantity = EXACT.add(quantity or Decimal(0), other.quantity)
    return one._replace(amount=EXACT.add(one.amount, other.amount), quantity=quantity)


def finest_grouping(day: date) -> frozenset[str]:
    """The finest grouping that costs of a day can be asked for."""
    if day < API_KEY_GROUPING_SINCE:
        return frozenset({"project_id", "line_item"})
    return frozenset({"project_id", "line_item", "api_key_id"})

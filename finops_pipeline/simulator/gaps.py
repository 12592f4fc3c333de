"""Planted gaps: where the bill and usage tell the same consumption differently, and by how much."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import NamedTuple

from finops_pipeline.simulator.catalogue import OFFERS, LineItem, UsageEndpoint
from finops_pipeline.simulator.consumption import EXACT, Consumption
from finops_pipeline.simulator.model import Cause, EndpointGap, Gap, SimulatedOrganization

_DAY = timedelta(days=1)


class Told(NamedTuple):
    """One consumption as the bill and as usage tell it.

    Attributes:
        cause: The planted gap between the two, if any.
        billed: What each billed row amounts to.
        bills: How many equal rows the bill shows.
        used: The quantity that usage shows.
        used_on: The UTC day on which usage shows it.
    """

    consumed: Consumption
    cause: Cause | None
    billed: Decimal
    bills: int
    used: int
    used_on: date


class Difference(NamedTuple):
    """A part of one day's costs minus its usage at list price, exact, and where it comes from."""

    day: date
    project_id: str | None
    cause: Cause
    amount: Decimal


class Gaps:
    """What was planted in one organization."""

    def __init__(self, organization: SimulatedOrganization) -> None:
        self._by_use: dict[tuple[str, str], list[Gap]] = {}
        for gap in organization.gaps:
            for item in OFFERS[gap.offer]:
                self._by_use.setdefault((gap.project_id, item.text), []).append(gap)
        self._endpoints: tuple[EndpointGap, ...] = organization.endpoint_gaps
        self.move_days = any(gap.cause == "across_midnight" for gap in organization.gaps)

    def told(self, consumed: Iterable[Consumption]) -> Iterator[Told]:
        """How the bill and usage tell what was consumed."""
        for each in consumed:
            gap = self._gap(each)
            affected = 0 if gap is None else int(EXACT.multiply(Decimal(each.quantity), gap.share))
            if gap is not None and affected:
                yield _differently(each._replace(quantity=affected), gap)
            if rest := each.quantity - affected:
                plain = each._replace(quantity=rest)
                yield Told(plain, None, plain.amount, 1, rest, plain.day)

    def answer(self, endpoint: UsageEndpoint, start: date, end: date) -> EndpointGap | None:
        """What is planted at a usage endpoint on a day from ``start`` to ``end`` (exclusive)."""
        for gap in self._endpoints:
            if gap.endpoint == endpoint and gap.start < end and start < gap.end:
                return gap
        return None

    def differences(self, day: date, told: Iterable[Told]) -> Iterator[Difference]:
        """The parts of a day's difference, from what was told of this day and of the day before."""
        for each in told:
            item = each.consumed.item
            project = each.consumed.project_id
            used = _at_list(item, each.used) if each.used_on == day else Decimal(0)
            if each.consumed.day == day:
                listed = _at_list(item, each.consumed.quantity)
                ordinary = each.consumed.amount
                if item.nature is not None:
                    by_nature = EXACT.subtract(ordinary, listed)
                    yield Difference(day, project, item.nature, by_nature)
                if each.cause is not None:
                    billed = EXACT.multiply(each.billed, Decimal(each.bills))
                    bill = EXACT.subtract(billed, ordinary)
                    usage = EXACT.subtract(listed, used)
                    yield Difference(day, project, each.cause, EXACT.add(bill, usage))
            elif each.cause is not None:
                yield Difference(day, project, each.cause, -used)
            if used and (gap := self.answer(item.endpoint, day, day + _DAY)) is not None:
                yield Difference(day, project, gap.cause, used)

    def _gap(self, consumed: Consumption) -> Gap | None:
        if consumed.project_id is None:
            return None
        for gap in self._by_use.get((consumed.project_id, consumed.item.text), ()):
            if gap.start <= consumed.day < gap.end:
                return gap
        return None


def _differently(consumed: Consumption, gap: Gap) -> Told:
    told = Told(consumed, gap.cause, consumed.amount, 1, consumed.quantity, consumed.day)
    match gap.cause:
        case "complimentary_tokens":
            told = told._replace(billed=Decimal(0), bills=int(gap.shown))
        case "negotiated_rate" | "unlisted_rate":
            told = told._replace(billed=EXACT.multiply(consumed.amount, gap.rate or Decimal(1)))
        case "across_midnight":
            told = told._replace(used_on=consumed.day + _DAY)
        case "double_charge":
            told = told._replace(bills=2)
        case "billed_without_usage":
            told = told._replace(used=0)
        case "used_without_bill":
            told = told._replace(bills=0)
        case "other_rate" | "tool_fee" | "unknown_model":
            told = told._replace(cause=None)  # so by the offer's nature
    return told


def _at_list(item: LineItem, quantity: int) -> Decimal:
    """What usage is worth at list price; 0 where no list has it."""
    return EXACT.multiply(Decimal(quantity), item.list_price or Decimal(0))

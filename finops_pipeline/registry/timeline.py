"""Values that hold for periods of days: no two at once, and no gap between them.

A period runs from ``valid_from`` (None: since ever) until before ``valid_to`` (None: still); days
are UTC. Ownership and attributes of the registry are kept this way, so that what is said of the
past stays as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Generic, TypeVar

Value = TypeVar("Value")


@dataclass(frozen=True)
class Period(Generic[Value]):
    """What held from ``valid_from`` until before ``valid_to``."""

    valid_from: date | None
    valid_to: date | None
    value: Value

    def holds(self, day: date) -> bool:
        """Whether the day is one of this period's."""
        began = self.valid_from is None or self.valid_from <= day
        return began and (self.valid_to is None or day < self.valid_to)


Timeline = Sequence[Period[Value]]
"""Periods in order, each beginning where the one before it ends."""


def current(timeline: Timeline[Value], today: date) -> Period[Value]:
    """The period that holds today; the first one where all of them are still to come."""
    return next((period for period in timeline if period.holds(today)), timeline[0])


def changed(
    timeline: Timeline[Value], effective: date, change: Callable[[Value], Value]
) -> list[Period[Value]]:
    """The timeline with another value from ``effective`` until the period that holds it ends.

    Changes that were already dated later stay. Neighbours with equal values become one period.

    Raises:
        LookupError: no period holds ``effective``.
    """
    if not any(period.holds(effective) for period in timeline):
        raise LookupError(effective)
    result: list[Period[Value]] = []
    for period in timeline:
        if not period.holds(effective):
            result.append(period)
            continue
        if period.valid_from != effective:
            result.append(replace(period, valid_to=effective))
        result.append(replace(period, valid_from=effective, value=change(period.value)))
    return _joined(result)


def _joined(timeline: Timeline[Value]) -> list[Period[Value]]:
    result: list[Period[Value]] = []
    for period in timeline:
        if result and result[-1].value == period.value:
            result[-1] = replace(result[-1], valid_to=period.valid_to)
        else:
            result.append(period)
    return result

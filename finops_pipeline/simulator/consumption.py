"""What was consumed: the one source from which the costs, and any usage, are answered."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from datetime import date
from decimal import Context, Decimal
from typing import NamedTuple

from finops_pipeline.simulator.catalogue import OFFERS, LineItem
from finops_pipeline.simulator.model import Gap, SimulatedOrganization, SimulatedProject

EXACT = Context(prec=100)
"""Amounts here have up to some forty decimals; the default context would round at 28 digits."""

_WEEKDAY_PERCENT = (100, 106, 108, 104, 92, 34, 27)  # Monday to Sunday
_WEEKEND = (5, 6)
_GROWTH_PER_MONTH_PERCENT = 4
_GROWTH_SINCE = 2025
_ONE = 1024  # scale of the daily noise: 512/1024 to 1535/1024


class Consumption(NamedTuple):
    """What one api key used of one thing on one UTC day.

    Attributes:
        quantity: In ``item.unit``; a whole number.
        project_id: None for consumption on the level of the organization.
    """

    day: date
    project_id: str | None
    api_key_id: str | None
    user_id: str | None
    item: LineItem
    quantity: int

    @property
    def amount(self) -> Decimal:
        """Quantity times list price in the organization's currency, exact."""
        return EXACT.multiply(Decimal(self.quantity), self.item.unit_price)


class _Slot(NamedTuple):
    """Something that is consumed every day, and how much of it on an ordinary weekday.

    Attributes:
        gap: A planted gap outside whose days nothing of it is consumed.
    """

    project: SimulatedProject | None
    api_key_id: str | None
    user_id: str | None
    item: LineItem
    usual_quantity: int
    gap: Gap | None = None


def _identifier(prefix: str, *names: object) -> str:
    digest = hashlib.sha256("/".join(map(str, names)).encode()).hexdigest()
    return f"{prefix}{digest[:16]}"


class Consumers:
    """Everything that consumes in one organization, day for day the same for the same seed.

    Attributes:
        endpoints: The usage endpoints that ever have something to count.
    """

    def __init__(self, organization: SimulatedOrganization, seed: int) -> None:
        self._organization = organization
        self._seed = seed
        self._always_busy = organization.rows_per_day is not None
        self._slots = list(self._even_slots() if self._always_busy else self._project_slots())
        self._slots += self._gap_slots()  # last, so that they change no other quantity
        self.endpoints = frozenset(slot.item.endpoint for slot in self._slots)
        self._spikes = {
            (spike.project_id, spike.day): spike.factor for spike in organization.spikes
        }

    def on(self, day: date, hours: int = 24) -> list[Consumption]:
        """What was consumed in the first ``hours`` hours of a UTC day."""
        # String seeds are hashed by random itself, so they mean the same in every process.
        draw = random.Random(f"{self._seed}/{self._organization.id}/{day}").getrandbits  # noqa: S311
        quiet = 0 if self._always_busy else (9 if day.weekday() in _WEEKEND else 1)
        months = (day.year - _GROWTH_SINCE) * 12 + day.month - 1
        growth = max(20, 100 + months * _GROWTH_PER_MONTH_PERCENT)
        rhythm = _WEEKDAY_PERCENT[day.weekday()] * growth * hours
        scale = 100 * 100 * 24 * _ONE
        consumed = []
        for slot in self._slots:
            noise = draw(10) + _ONE // 2
            is_quiet = draw(6) < quiet
            project = slot.project
            if slot.gap is not None and not slot.gap.start <= day < slot.gap.end:
                continue
            if is_quiet or (project is not None and not _exists(project, day)):
                continue
            quantity = slot.usual_quantity * rhythm * noise // scale
            if project is not None and self._spikes:
                quantity *= self._spikes.get((project.id, day), 1)
            if self._always_busy:
                quantity += 1
            if quantity:
                consumed.append(
                    Consumption(
                        day,
                        project.id if project is not None else None,
                        slot.api_key_id,
                        slot.user_id,
                        slot.item,
                        quantity,
                    )
                )
        return consumed

    def _project_slots(self) -> Iterator[_Slot]:
        for project in self._organization.projects:
            for number in range(project.api_keys):
                for offer in project.uses:
                    for item in OFFERS[offer]:
                        usual = item.usual_quantity * project.volume_percent // 100
                        yield _slot(project, number, item, usual // project.api_keys)
        for offer in self._organization.organization_uses:
            for item in OFFERS[offer]:
                yield _Slot(None, None, None, item, item.usual_quantity)

    def _gap_slots(self) -> Iterator[_Slot]:
        projects = {project.id: project for project in self._organization.projects}
        for gap in self._organization.gaps:
            project = projects[gap.project_id]
            if gap.offer not in project.uses:
                for item in OFFERS[gap.offer]:
                    usual = item.usual_quantity * project.volume_percent // 100
                    yield _slot(project, 0, item, usual)._replace(gap=gap)

    def _even_slots(self) -> Iterator[_Slot]:
        projects = self._organization.projects
        items = [[item for offer in each.uses for item in OFFERS[offer]] for each in projects]
        for row in range(self._organization.rows_per_day or 0):
            turn, place = divmod(row, len(projects))
            key, item = divmod(turn, len(items[place]))
            chosen = items[place][item]
            yield _slot(projects[place], key, chosen, chosen.usual_quantity)


def _slot(project: SimulatedProject, key: int, item: LineItem, usual: int) -> _Slot:
    return _Slot(
        project,
        _identifier("key_", project.id, "key", key),
        _identifier("user-", project.id, "user", key),
        item,
        usual,
    )


def _exists(project: SimulatedProject, day: date) -> bool:
    if day < project.created_on:
        return False
    return project.archived_on is None or day < project.archived_on

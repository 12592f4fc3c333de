"""Buckets as the bytes that go out: rendered once, kept until something changes them."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal
from functools import lru_cache

from finops_pipeline.simulator.organization import CostRow, Organization, finest_grouping, grouped
from finops_pipeline.simulator.scenario import Wire

_PLACES = 18
_EIGHTEENTH = Decimal(1).scaleb(-_PLACES)
_ROUNDING = Context(prec=100, rounding=ROUND_HALF_EVEN)

Totals = dict[tuple[str | None, str], Decimal]
"""Sums by (project_id, currency)."""


class Buckets:
    """Cost buckets of all organizations, rendered on first use.

    Memory grows by some 300 to 450 bytes a row and grouping.
    """

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._rendered: dict[tuple[str, date, int, frozenset[str]], bytes] = {}
        self._totals: dict[tuple[str, date, int], Totals] = {}

    @property
    def wire(self) -> Wire:
        return self._wire

    @wire.setter
    def wire(self, wire: Wire) -> None:
        self._wire = wire
        self._rendered.clear()

    def forget(self, organization: Organization, day: date) -> None:
        """Render this day anew from now on, because its rows changed."""
        for key in [key for key in self._rendered if key[:2] == (organization.simulated.id, day)]:
            del self._rendered[key]
        for total in [key for key in self._totals if key[:2] == (organization.simulated.id, day)]:
            del self._totals[total]

    def bucket(
        self, organization: Organization, day: date, hours: int, dimensions: frozenset[str]
    ) -> bytes:
        """One bucket of one organization, holding the first ``hours`` hours of the day."""
        key = (organization.simulated.id, day, hours, dimensions)
        if (rendered := self._rendered.get(key)) is None:
            rows = grouped(organization.rows(day, hours), dimensions)
            if dimensions == finest_grouping(day):
                self._totals[key[:3]] = _totals(rows)
            rendered = self.render(organization, day, rows, dimensions)
            self._rendered[key] = rendered
        return rendered

    def totals(self, organization: Organization, day: date, hours: int) -> Totals:
        """What a day's results add up to, each amount rounded half-even at the 18th place.

        Results are those of :func:`finest_grouping`; of another grouping the sum may differ
        in the last place, because fewer amounts are rounded.
        """
        key = (organization.simulated.id, day, hours)
        if key not in self._totals:
            rows = grouped(organization.rows(day, hours), finest_grouping(day))
            self._totals[key] = _totals(rows)
        return self._totals[key]

    def render(
        self,
        organization: Organization,
        day: date,
        rows: Sequence[CostRow],
        dimensions: frozenset[str],
    ) -> bytes:
        """The bucket of these results, without keeping it."""
        start = datetime.combine(day, time(), tzinfo=UTC)
        end = start + timedelta(days=1)
        iso = ""
        if self._wire.undocumented_fields:
            # Without offset, as it has been seen: nobody can rely on these two.
            iso = (
                f',"start_time_iso":"{start.replace(tzinfo=None).isoformat()}"'
                f',"end_time_iso":"{end.replace(tzinfo=None).isoformat()}"'
            )
        results = ",".join(
            self._results(organization, rows, dimensions, organization.is_padded(day))
        )
        return (
            f'{{"object":"bucket","start_time":{int(start.timestamp())},'
            f'"end_time":{int(end.timestamp())}{iso},"results":[{results}]}}'
        ).encode()

    def _results(
        self,
        organization: Organization,
        rows: Sequence[CostRow],
        dimensions: frozenset[str],
        padded: bool,
    ) -> list[str]:
        wire = self._wire
        simulated = organization.simulated
        names = {project.id: project.name for project in simulated.projects}
        common = ""
        if wire.organization_id_on_wire:
            common = (
                f',"organization_id":{_text(simulated.id)}'
                f',"organization_name":{_text(simulated.name)}'
            )
        by_user = "user_id" in dimensions
        rendered = []
        for number, row in enumerate(rows):
            quoted = wire.amounts == "string" or (wire.amounts == "mixed" and number % 2 == 1)
            undocumented = ""
            if wire.undocumented_fields:
                email = f"{row.user_id}@acme.example" if row.user_id else None
                name = names.get(row.project_id) if row.project_id else None
                undocumented = (
                    f',"project_name":{_text(name)},"user_id":{_text(row.user_id)}'
                    f',"user_email":{_text(email)},"api_source":null'
                )
            elif by_user:
                undocumented = f',"user_id":{_text(row.user_id)}'
            quantity = "null" if row.quantity is None else format(row.quantity, "f")
            rendered.append(
                '{"object":"organization.costs.result","amount":{"value":'
                f'{literal(row.amount, quoted=quoted, padded=padded)},"currency":'
                f'{_text(row.currency)}}},"line_item":{_text(row.line_item)},'
                f'"project_id":{_text(row.project_id)},"api_key_id":{_text(row.api_key_id)},'
                f'"quantity":{quantity},"quantity_unit":{_text(row.quantity_unit)}'
                f"{common}{undocumented}}}"
            )
        return rendered


def literal(amount: Decimal, *, quoted: bool, padded: bool = False) -> str:
    """An amount as JSON, exact: a number, or a string in which zero is ``0E-6176``."""
    if not amount:
        return '"0E-6176"' if quoted else ("0.0" if padded else "0")
    text = str(amount)
    if padded:
        mantissa, exponent, power = text.partition("E")
        text = f"{mantissa}{'0' if '.' in mantissa else '.0'}{exponent}{power}"
    return f'"{text}"' if quoted else text


def _totals(rows: Sequence[CostRow]) -> Totals:
    totals: Totals = defaultdict(Decimal)
    for row in rows:
        key = (row.project_id, row.currency)
        totals[key] = _ROUNDING.add(totals[key], _at_18_places(row.amount))
    return dict(totals)


def _at_18_places(amount: Decimal) -> Decimal:
    exponent = amount.as_tuple().exponent
    if isinstance(exponent, int) and exponent >= -_PLACES:
        return amount
    return amount.quantize(_EIGHTEENTH, context=_ROUNDING)


@lru_cache(maxsize=1 << 16)
def _text(value: str | None) -> str:
    return json.dumps(value)

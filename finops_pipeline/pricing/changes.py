"""What another version of the price list, or of the override file, changes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from itertools import groupby, pairwise
from operator import itemgetter
from typing import Any

import pyarrow as pa

PRICE_CHANGES = pa.schema(
    [
        pa.field("price_model", pa.string(), nullable=False),
        pa.field("service_tier", pa.string(), nullable=False),
        pa.field("context", pa.string(), nullable=False),
        ("modality", pa.string()),
        pa.field("token_kind", pa.string(), nullable=False),
        pa.field("change", pa.string(), nullable=False),
        ("old_price", pa.decimal128(18, 12)),
        ("new_price", pa.decimal128(18, 12)),
        ("valid_from", pa.date32()),
        ("valid_to", pa.date32()),
    ]
)
"""One row per period in which a price is another: ``changed``, ``appeared`` or ``disappeared``.

Prices are USD for one unit; ``valid_to`` is exclusive; null bounds: since ever, still.
"""

_KEY = ("price_model", "service_tier", "context", "modality", "token_kind")
_Timeline = list[tuple[date, date, Decimal]]


def changes(old: pa.Table, new: pa.Table) -> pa.Table:
    """Where two states of ``raw.model_prices`` differ, by model and period.

    Returns:
        :data:`PRICE_CHANGES`, in the order of its columns.
    """
    before, after = _timelines(old), _timelines(new)
    rows = [
        {**dict(zip(_KEY, key, strict=True)), **difference}
        for key in sorted(before.keys() | after.keys(), key=lambda key: tuple(map(str, key)))
        for difference in _differences(before.get(key, []), after.get(key, []))
    ]
    return pa.Table.from_pylist(rows, schema=PRICE_CHANGES)


def unpriced(names: pa.Table) -> list[str]:
    """The models of ``raw.model_names`` that have no price, by name."""
    return sorted(row["model"] for row in names.to_pylist() if row["price_model"] is None)


def _timelines(prices: pa.Table) -> dict[tuple[Any, ...], _Timeline]:
    found: dict[tuple[Any, ...], _Timeline] = defaultdict(list)
    for row in prices.to_pylist():
        period = (row["valid_from"] or date.min, row["valid_to"] or date.max, row["unit_price"])
        found[tuple(row[name] for name in _KEY)].append(period)
    return found


def _differences(before: _Timeline, after: _Timeline) -> Iterator[dict[str, Any]]:
    days = sorted({day for start, end, _ in before + after for day in (start, end)})
    periods = [(_on(before, day), _on(after, day), day, end) for day, end in pairwise(days)]
    for (old, new), run in groupby(periods, key=itemgetter(0, 1)):
        if old == new:
            continue
        same = list(run)
        start, end = same[0][2], same[-1][3]
        yield {
            "change": _name(old, new),
            "old_price": old,
            "new_price": new,
            "valid_from": None if start == date.min else start,
            "valid_to": None if end == date.max else end,
        }


def _on(timeline: _Timeline, day: date) -> Decimal | None:
    return next((price for start, end, price in timeline if start <= day < end), None)


def _name(old: Decimal | None, new: Decimal | None) -> str:
    if old is None:
        return "appeared"
    return "disappeared" if new is None else "changed"

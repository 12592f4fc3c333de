"""What requests are billed: told by the simulated company itself, and looked up in the marts."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any, NamedTuple

from finops_pipeline.simulator.catalogue import OFFERS
from finops_pipeline.simulator.organization import CostRow, Organization, finest_grouping, grouped

KINDS = ("input", "cached_input", "output")
_KIND_OF = {
    "input": "input",
    "input_tokens": "input",
    "cache writes": "input",
    "cached input": "cached_input",
    "cached_input_tokens": "cached_input",
    "output": "output",
    "output_tokens": "output",
}
_ITEMS = {item.text: item for offer in OFFERS.values() for item in offer}
_LONG_CONTEXT_FROM = 272_000
_WIDE = Context(prec=100, rounding=ROUND_HALF_EVEN)
_EIGHTEENTH = Decimal("1e-18")


class Key(NamedTuple):
    """Down to which a bill is told; ``kind`` is one of ``KINDS``, a cache write being input."""

    day: date
    organization_id: str
    project_id: str | None
    model: str
    kind: str


class _Line(NamedTuple):
    project_id: str | None
    api_key_id: str | None
    model: str
    tier: str
    long_context: bool
    modality: str
    kind: str


Sums = dict[Key, Decimal]
Query = Callable[[str], list[tuple[Any, ...]]]


def rows_billed(organization: Organization, day: date) -> list[CostRow]:
    """A day's bill as it is asked for, its amounts as the warehouse keeps them."""
    return [
        row._replace(amount=row.amount.quantize(_EIGHTEENTH, context=_WIDE))
        for row in grouped(organization.rows(day), finest_grouping(day))
    ]


def tokens_billed(organization: Organization, day: date) -> Sums:
    """What tokens cost; tools, storage and fees are left out, and what costs nothing."""
    sums: Sums = defaultdict(Decimal)
    for row in rows_billed(organization, day):
        if (item := _ITEMS.get(row.line_item or "")) is not None and item.model is not None:
            kind = _KIND_OF[item.kind or ""]
            key = Key(day, organization.simulated.id, row.project_id, item.model, kind)
            sums[key] += row.amount
    return {key: amount for key, amount in sums.items() if amount}


def rest_billed(organization: Organization, day: date) -> dict[str | None, Decimal]:
    """What tools, storage and fees cost, by project."""
    sums: dict[str | None, Decimal] = defaultdict(Decimal)
    for row in rows_billed(organization, day):
        if (item := _ITEMS.get(row.line_item or "")) is None or item.model is None:
            sums[row.project_id] += row.amount
    return {project: amount for project, amount in sums.items() if amount}


def tokens_unexplained(
    organization: Organization, day: date, lost: Iterable[Mapping[str, Any]]
) -> Sums:
    """What tokens cost of which the requests were lost, each at the price on its line.

    Where a line of the log may be of two lines of the bill (written to the cache or not), the
    tokens that are left claim both in proportion, and the lost ones are the remainder.
    """
    tokens = Counter[_Line]()
    for request in lost:
        for (modality, kind), count in _parts(request).items():
            tokens[_line(request, modality, kind)] += count
    lines: dict[_Line, list[CostRow]] = defaultdict(list)
    for row in rows_billed(organization, day):
        item = _ITEMS.get(row.line_item or "")
        if item is not None and item.model is not None:
            line = _Line(
                row.project_id,
                row.api_key_id,
                item.model,
                item.surface if item.surface in ("batch", "flex", "priority") else "default",
                item.long_context,
                item.modality or "text",
                _KIND_OF[item.kind or ""],
            )
            lines[line].append(row)
    sums: Sums = defaultdict(Decimal)
    for line, count in tokens.items():
        key = Key(day, organization.simulated.id, line.project_id, line.model, line.kind)
        for row, left in _left(lines[line], count):
            assert row.quantity is not None
            sums[key] += row.amount * left / row.quantity
    return {key: amount for key, amount in sums.items() if amount}


def _line(request: Mapping[str, Any], modality: str, kind: str) -> _Line:
    model = request["model"]
    return _Line(
        request["openai_project_id"],
        request["api_key_id"],
        f"ft-{model.split(':')[1]}" if model.startswith("ft:") else model,
        "batch" if request.get("is_batch") else request.get("service_tier", "default"),
        request["input_tokens"] > _LONG_CONTEXT_FROM,
        modality,
        kind,
    )


def _parts(request: Mapping[str, Any]) -> Counter[tuple[str, str]]:
    cached = request.get("input_cached_tokens", 0)
    parts = Counter({("text", "cached_input"): cached})
    for whole in ("input", "output"):
        of_text = request[f"{whole}_tokens"] - (cached if whole == "input" else 0)
        for modality in ("audio", "image"):
            part = request.get(f"{whole}_{modality}_tokens", 0)
            parts[modality, whole] = part
            of_text -= part
        parts["text", whole] = of_text
    return +parts


def _left(lines: list[CostRow], lost: int) -> list[tuple[CostRow, int]]:
    if len(lines) == 1:
        return [(lines[0], lost)]
    first, second = lines
    assert first.quantity is not None
    assert second.quantity is not None
    billed = int(first.quantity + second.quantity)
    of_first = first.quantity - round((billed - lost) * first.quantity / billed)
    return [(first, int(of_first)), (second, lost - int(of_first))]


def shares(query: Query, where: str) -> Sums:
    """What rows of fct_request_costs were billed for tokens."""
    return {
        Key(day, organization, project, model, kind): amount
        for kind in KINDS
        for day, organization, project, model, amount in query(
            "SELECT cost_date, organization_id, openai_project_id, billed_model, "
            f"sum({kind}_cost) FROM fct_request_costs WHERE {where} GROUP BY ALL"
        )
        if amount
    }


def day_of(request: Mapping[str, Any]) -> date:
    """UTC day of a line of a request log."""
    return datetime.fromisoformat(request["requested_at"]).astimezone(UTC).date()

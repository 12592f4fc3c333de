"""Looking prices up as those who join the raw tables do."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from functools import cache
from pathlib import Path
from textwrap import dedent
from typing import Any

from finops_pipeline.pricing import PriceBook


@cache
def _rows(book: PriceBook) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = book.prices().to_pylist()
    return rows


def rows_for(book: PriceBook, **wanted: Any) -> list[dict[str, Any]]:
    """The rows of ``raw.model_prices`` that have these values."""
    return [
        row for row in _rows(book) if all(row[column] == value for column, value in wanted.items())
    ]


def price_model(book: PriceBook, name: str) -> str | None:
    """The model under which a name is priced."""
    [row] = book.names([name]).to_pylist()
    found: str | None = row["price_model"]
    return found


def unit_price(
    book: PriceBook,
    name: str,
    kind: str,
    *,
    on: date,
    tier: str = "standard",
    context: str = "standard",
    modality: str = "text",
) -> Decimal | None:
    """USD for one unit; null where unpriced. More than one price would be an error of the book."""
    found = [
        row["unit_price"]
        for row in rows_for(
            book,
            price_model=price_model(book, name),
            token_kind=kind,
            service_tier=tier,
            context=context,
        )
        if row["modality"] in {None, modality}
        and (row["valid_from"] or date.min) <= on < (row["valid_to"] or date.max)
    ]
    assert len(found) <= 1, found
    return found[0] if found else None


def cost(
    book: PriceBook, name: str, quantities: dict[str, int], *, on: date, **form: str
) -> Decimal:
    """USD for quantities by kind; every one of them must have a price."""
    total = Decimal(0)
    for kind, quantity in quantities.items():
        price = unit_price(book, name, kind, on=on, **form)
        assert price is not None, f"{name}, {kind} is unpriced"
        total += quantity * price
    return total


def price_file(folder: Path, text: str) -> Path:
    """A file of overrides with this text, indented as one likes."""
    path = folder / "prices.yaml"
    path.write_text(dedent(text), encoding="utf-8")
    return path

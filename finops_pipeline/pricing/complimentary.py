"""Complimentary tokens: what an organization may use without being charged, by declaration."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from itertools import combinations
from pathlib import Path

import pyarrow as pa

from finops_pipeline.pricing.names import NameBook
from finops_pipeline.pricing.periods import overlap
from finops_pipeline.pricing.price_file import ComplimentaryEntry, wrong_file
from finops_pipeline.pricing.vocabulary import canonical_name


@dataclass(frozen=True, slots=True, kw_only=True)
class ComplimentaryTokens:
    """Free tokens of one model, which it shares with the others of its declaration.

    Attributes:
        declaration_number: Counts the file's entries from 1.
        tokens_a_day: Of the whole declaration, per UTC day.
        valid_from: First UTC day; null: since ever.
        valid_to: First UTC day on which it no longer holds; null: still.
    """

    declaration_number: int
    organization_id: str
    price_model: str
    tokens_a_day: int
    valid_from: date | None
    valid_to: date | None


COMPLIMENTARY_TOKENS = pa.schema(
    [
        pa.field("declaration_number", pa.int64(), nullable=False),
        pa.field("organization_id", pa.string(), nullable=False),
        pa.field("price_model", pa.string(), nullable=False),
        pa.field("tokens_a_day", pa.int64(), nullable=False),
        ("valid_from", pa.date32()),
        ("valid_to", pa.date32()),
    ]
)
"""``raw.complimentary_tokens``: for an organization, a model and a day at most one row."""


def declared(
    entries: Iterable[ComplimentaryEntry], names: NameBook, path: Path
) -> list[ComplimentaryTokens]:
    """The declarations of a price file, model by model.

    Raises:
        UsageError: a model has no price, or two entries hold for the same organization, model and
            day; names the entries.
    """
    found = [
        each
        for number, entry in enumerate(entries, start=1)
        for each in _by_model(number, entry, names, path)
    ]
    for one, other in combinations(found, 2):
        same = (one.organization_id, one.price_model) == (other.organization_id, other.price_model)
        if same and one.declaration_number != other.declaration_number and overlap(one, other):
            raise wrong_file(
                path,
                f"complimentary entries {one.declaration_number} and {other.declaration_number} "
                f"both give {one.organization_id} free tokens of {one.price_model} for the same "
                "day; let valid_to of the earlier be valid_from of the later",
            )
    return found


def _by_model(
    number: int, entry: ComplimentaryEntry, names: NameBook, path: Path
) -> Iterator[ComplimentaryTokens]:
    priced = {}
    for model in entry.models:
        name = canonical_name(model)
        price_model = name if name in names.listed else names.find(name).price_model
        if price_model is None:
            raise wrong_file(
                path,
                f"complimentary entry {number} ({entry.organization}): {model} has no price, so "
                "that nothing of it can be free; correct the name, or give it one under 'prices'",
            )
        priced[price_model] = model
    for price_model in priced:
        yield ComplimentaryTokens(
            declaration_number=number,
            organization_id=entry.organization,
            price_model=price_model,
            tokens_a_day=entry.tokens_a_day,
            valid_from=entry.valid_from,
            valid_to=entry.valid_to,
        )

"""The prices of an override file, laid over the list for their time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import combinations
from pathlib import Path

from finops_pipeline.pricing.names import NameBook
from finops_pipeline.pricing.periods import (
    laid_over,
    laid_under,
    overlap,
    with_modalities_told_apart,
)
from finops_pipeline.pricing.price_file import PriceEntry, wrong_file
from finops_pipeline.pricing.vocabulary import Price, canonical_name


def overridden(
    listed: list[Price], names: NameBook, file: Iterable[PriceEntry], path: Path
) -> tuple[list[Price], list[Price], NameBook]:
    """Prices, the list's prices that they replace, and names after ``file`` has been applied.

    An entry for a model of the list changes that model, under all the names that it has. An entry
    for one of those other names (a snapshot, a fine-tuned model) changes that name alone: it gets
    prices of its own, which are those of its model wherever the file says nothing.

    Args:
        path: Where the file lies, for what is said about it.

    Raises:
        UsageError: two entries hold for the same thing and day, or one does not fit its model.
    """
    entries: dict[str, list[tuple[int, PriceEntry]]] = {}
    for number, entry in enumerate(file, start=1):
        entries.setdefault(canonical_name(entry.model), []).append((number, entry))

    prices, replaced = listed, list[Price]()
    # models of the list first, then shorter names: those whose prices others take over
    for model in sorted(entries, key=lambda name: (name not in names.listed, len(name), name)):
        if model not in names.listed:
            parent = names.find(model).price_model
            prices = prices + [_renamed(p, model) for p in prices if p.key.model == parent]
            replaced = replaced + [_renamed(p, model) for p in replaced if p.key.model == parent]
            names = replace(names, own=frozenset({*names.own, model}))
        others = [price for price in prices if price.key.model != model]
        present = [price for price in prices if price.key.model == model]
        present, given = _given(model, present, entries[model], path)
        replaced = replaced + laid_under([p for p in present if p.source == "list"], given)
        prices = others + laid_over(present, given)
    return prices, replaced, names


def _renamed(price: Price, model: str) -> Price:
    return replace(price, key=price.key._replace(model=model))


def _given(
    model: str, present: list[Price], entries: list[tuple[int, PriceEntry]], path: Path
) -> tuple[list[Price], list[Price]]:
    """The prices of a model that are there and those of the file, modalities told apart."""
    numbers: list[int] = []
    given: list[Price] = []
    for number, entry in entries:
        for price in entry.unit_prices(model, "override"):
            numbers.append(number)
            given.append(_with_long_context(price, present, number, path))
    together = with_modalities_told_apart([*present, *given])
    present, given = together[: len(present)], together[len(present) :]
    for (one, price), (two, other) in combinations(zip(numbers, given, strict=True), 2):
        if price.key == other.key and overlap(price, other):
            raise wrong_file(
                path,
                f"entries {one} and {two} ({model}) both give {price.key.kind} a price for the same"
                " day and tier; let valid_to of the earlier be valid_from of the later",
            )
    return present, given


def _with_long_context(price: Price, present: list[Price], number: int, path: Path) -> Price:
    if price.key.context != "long" or price.long_context_from is not None:
        return price
    listed = next((p.long_context_from for p in present if p.long_context_from is not None), None)
    if listed is None:
        raise wrong_file(
            path,
            f"entry {number} ({price.key.model}): the list has no long context for this model;"
            " say with long_context_from above how many input tokens it begins",
        )
    return replace(price, long_context_from=listed)

"""Prices beside and over each other, so that one holds for a key and a day."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import date
from typing import Protocol

from finops_pipeline.pricing.vocabulary import Price, PriceKey


class Dated(Protocol):
    """What holds from a UTC day (null: since ever) to before another one (null: still)."""

    @property
    def valid_from(self) -> date | None: ...

    @property
    def valid_to(self) -> date | None: ...


def starts(dated: Dated) -> date:
    """The first day, the first of all days for what holds since ever."""
    return dated.valid_from or date.min


def ends(dated: Dated) -> date:
    """The day after the last one, the last of all days for what still holds."""
    return dated.valid_to or date.max


def overlap(one: Dated, other: Dated) -> bool:
    """Whether both hold on some day."""
    return starts(one) < ends(other) and starts(other) < ends(one)


def with_modalities_told_apart(prices: Iterable[Price]) -> list[Price]:
    """Where a model has a price for one modality of a kind, its price without one is text's."""
    prices = list(prices)
    apart = {(p.key.model, p.key.kind) for p in prices if p.key.modality is not None}
    return [
        replace(price, key=price.key._replace(modality="text"))
        if price.key.modality is None and (price.key.model, price.key.kind) in apart
        else price
        for price in prices
    ]


def laid_over(prices: Iterable[Price], overrides: Iterable[Price]) -> list[Price]:
    """``overrides``, and of ``prices`` what they leave: the days before, between and after them.

    The overrides of one key must not overlap each other.
    """
    by_key: dict[PriceKey, list[Price]] = {}
    for override in overrides:
        by_key.setdefault(override.key, []).append(override)
    left = [part for price in prices for part in _without(price, by_key.get(price.key, []))]
    return left + [override for group in by_key.values() for override in group]


def laid_under(prices: Iterable[Price], overrides: Iterable[Price]) -> list[Price]:
    """Of ``prices`` what ``overrides`` cover, each for the days that an override takes from it."""
    overrides = list(overrides)
    return [
        replace(
            price,
            valid_from=max(price, override, key=starts).valid_from,
            valid_to=min(price, override, key=ends).valid_to,
        )
        for price in prices
        for override in overrides
        if price.key == override.key and overlap(price, override)
    ]


def _without(price: Price, overrides: list[Price]) -> Iterator[Price]:
    for override in sorted(overrides, key=starts):
        if not overlap(price, override):
            continue
        if starts(price) < starts(override):
            yield replace(price, valid_to=override.valid_from)
        if override.valid_to is None or ends(price) <= override.valid_to:
            return
        price = replace(price, valid_from=override.valid_to)
    yield price

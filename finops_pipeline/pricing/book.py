"""The price book: the list, its supplement and an override file, as tables."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa

from finops_pipeline.pricing.complimentary import (
    COMPLIMENTARY_TOKENS,
    ComplimentaryTokens,
    declared,
)
from finops_pipeline.pricing.names import NameBook
from finops_pipeline.pricing.overrides import overridden
from finops_pipeline.pricing.periods import with_modalities_told_apart
from finops_pipeline.pricing.price_file import read_price_file
from finops_pipeline.pricing.vocabulary import (
    MODEL_NAMES,
    MODEL_PRICES,
    UNITS,
    Price,
    canonical_name,
)

SUPPLEMENT = Path(__file__).with_name("list_supplement.yaml")
"""Prices that OpenAI lists and the package does not have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceBook:
    """What OpenAI's models and tools cost, day by day.

    Attributes:
        version: Package and version of the list, as in ``genai-prices 0.2.3``.
        entries: Every price; for a key and a day at most one.
        replaced: Prices of the list in whose place the override file has others, as the list has
            them: a bill at an agreed rate differs from the list by a known amount.
        name_book: The names under which they are found.
        complimentary: Tokens that the file declares to be free.
    """

    version: str
    entries: tuple[Price, ...]
    replaced: tuple[Price, ...]
    name_book: NameBook
    complimentary: tuple[ComplimentaryTokens, ...] = ()

    @classmethod
    def load(cls, overrides: Path | None) -> PriceBook:
        """The installed list with the file ``overrides`` laid over it, without any network.

        Raises:
            UsageError: the file is wrong; names the entry and what would be right.
            FinopsError: the installed list cannot be used.
        """
        from genai_prices import __version__  # takes 0.2 s
        from genai_prices.data import providers

        from finops_pipeline.pricing.list_prices import list_prices

        openai = next(provider for provider in providers if provider.id == "openai")

        def listed_model(name: str) -> str | None:
            model = openai.find_model(name)
            return model.id if model else None

        prices = with_modalities_told_apart(supplemented(list(list_prices(openai.models))))
        names = NameBook(
            listed=frozenset(price.key.model for price in prices), listed_model=listed_model
        )
        replaced: list[Price] = []
        complimentary: list[ComplimentaryTokens] = []
        if overrides is not None:
            file = read_price_file(overrides)
            prices, replaced, names = overridden(prices, names, file.prices, overrides)
            complimentary = declared(file.complimentary, names, overrides)
        return cls(
            version=f"genai-prices {__version__}",
            entries=tuple(prices),
            replaced=tuple(replaced),
            name_book=names,
            complimentary=tuple(complimentary),
        )

    def prices(self) -> pa.Table:
        """Prices in force, with :data:`MODEL_PRICES`."""
        return self._table(self.entries)

    def prices_and_replaced(self) -> pa.Table:
        """``raw.model_prices``: prices in force, and the list's that an override replaces."""
        return self._table((*self.entries, *self.replaced))

    def _table(self, prices: Iterable[Price]) -> pa.Table:
        rows = [
            {
                "price_model": price.key.model,
                "service_tier": price.key.service_tier,
                "context": price.key.context,
                "long_context_from": price.long_context_from,
                "modality": price.key.modality,
                "token_kind": price.key.kind,
                "unit": UNITS[price.key.kind],
                "unit_price": price.unit_price,
                "currency": "USD",
                "valid_from": price.valid_from,
                "valid_to": price.valid_to,
                "source": price.source,
                "is_backdated": price.is_backdated,
                "price_book_version": self.version,
            }
            for price in prices
        ]
        return pa.Table.from_pylist(rows, schema=MODEL_PRICES)

    def complimentary_tokens(self) -> pa.Table:
        """``raw.complimentary_tokens``, with :data:`COMPLIMENTARY_TOKENS`."""
        rows = [asdict(each) for each in self.complimentary]
        return pa.Table.from_pylist(rows, schema=COMPLIMENTARY_TOKENS)

    def names(self, used: Iterable[str]) -> pa.Table:
        """``raw.model_names`` for the names that occur in usage and bills, each once."""
        found = [asdict(self.name_book.find(name)) for name in sorted(set(used))]
        return pa.Table.from_pylist(found, schema=MODEL_NAMES)


def supplemented(listed: list[Price]) -> list[Price]:
    """The package's prices, and those of the supplement that it does not have."""
    known = {price.key for price in listed}
    ours = [
        price
        for entry in read_price_file(SUPPLEMENT).prices
        for price in entry.unit_prices(canonical_name(entry.model))
    ]
    return listed + [price for price in ours if price.key not in known]

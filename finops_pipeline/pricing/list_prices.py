"""OpenAI's list prices, dated, from the package ``genai-prices``; nothing is downloaded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple, TypeAlias

from genai_prices.types import (
    ConditionalPrice,
    ModelInfo,
    ModelPrice,
    PriceVariant,
    StartDateConstraint,
    TieredPrices,
)

from finops_pipeline.errors import FinopsError
from finops_pipeline.pricing.vocabulary import (
    UNITS,
    Modality,
    Price,
    PriceKey,
    PromptContext,
    ServiceTier,
    price_per_unit,
)

_MILLION = 1_000_000

PRICE_KEYS: dict[str, tuple[str, Modality | None, int]] = {
    "input_mtok": ("input", None, _MILLION),
    "cache_read_mtok": ("cached_input", None, _MILLION),
    "cache_write_mtok": ("cache_write", None, _MILLION),
    "output_mtok": ("output", None, _MILLION),
    "input_audio_mtok": ("input", "audio", _MILLION),
    "cache_audio_read_mtok": ("cached_input", "audio", _MILLION),
    "output_audio_mtok": ("output", "audio", _MILLION),
    "input_image_mtok": ("input", "image", _MILLION),
    "cache_image_read_mtok": ("cached_input", "image", _MILLION),
    "output_image_mtok": ("output", "image", _MILLION),
    "input_mchars": ("characters", None, _MILLION),
    "audio_hours": ("seconds", None, 3600),
    "input_audio_hours": ("seconds", None, 3600),
    "web_searches_kcount": ("web_search_calls", None, 1000),
    "storage_searches_kcount": ("file_search_calls", None, 1000),
}
"""The package's price keys: kind, modality, and how many units the price is for.

Prices under other keys are left out: OpenAI's part of the list has none.
"""

TIER_CONDITIONS: dict[ServiceTier, dict[str, str]] = {
    "batch": {"processing": "batch"},
    "flex": {"service_tier": "flex"},
    "priority": {"service_tier": "priority"},
}
"""The condition under which the package holds each tier's prices."""


class _Rate(NamedTuple):
    unit_price: Decimal
    long_context_from: int | None


_Rates: TypeAlias = dict[tuple[PromptContext, Modality | None, str], _Rate]


class _Period(NamedTuple):
    """Days on which nothing changes, and what is priced in them."""

    valid_from: date | None
    valid_to: date | None
    rates: _Rates
    is_backdated: bool = False


def list_prices(models: Iterable[ModelInfo]) -> Iterator[Price]:
    """Every price of the given models, dated; per key and day at most one.

    Raises:
        FinopsError: the list holds a price that this book cannot express: by the time of day, with
            several long contexts, or with more than 12 decimals for one unit.
    """
    for model in models:
        standard = _standard_periods(model)
        yield from _prices(model.id, "standard", standard)
        for tier, condition in TIER_CONDITIONS.items():
            yield from _prices(model.id, tier, _tier_periods(model, condition, standard))


def _standard_periods(model: ModelInfo) -> list[_Period]:
    days = [None, *_days_of_change(model)]
    ends = [*days[1:], None]
    return [
        _Period(start, end, _rates(model.id, model.get_prices(_instant(start))))
        for start, end in zip(days, ends, strict=True)
    ]


def _tier_periods(
    model: ModelInfo, condition: dict[str, str], standard: Sequence[_Period]
) -> list[_Period]:
    """The periods in which the tier is listed, and those before in which it must have been.

    The package's tiers begin on the day on which somebody verified them. The discount is older: it
    goes back as far as the standard price was the same as on that day.
    """
    variants = [v for v in model.price_variants or () if v.when == condition]
    listed = [any(_is_active(v, period.valid_from) for v in variants) for period in standard]
    if not any(listed):
        return []
    first = listed.index(True)
    periods = [
        period._replace(rates=_tier_rates(model, condition, period))
        for period, is_listed in zip(standard, listed, strict=True)
        if is_listed
    ]
    for earlier in reversed(standard[:first]):
        if earlier.rates != standard[first].rates:
            break
        periods.insert(0, earlier._replace(rates=periods[0].rates, is_backdated=True))
    return periods


def _tier_rates(model: ModelInfo, condition: dict[str, str], period: _Period) -> _Rates:
    """The tier's own prices, and the standard ones of token kinds for which it lists none."""
    rates = _rates(model.id, model.get_prices(_instant(period.valid_from), condition))
    return {
        key: rate
        for key, rate in rates.items()
        if UNITS[key[2]] == "tokens" or rate != period.rates.get(key)
    }


def _rates(model_id: str, prices: ModelPrice) -> _Rates:
    rates: _Rates = {}
    for price_key, price in vars(prices).items():
        if price is None or price_key not in PRICE_KEYS:
            continue
        kind, modality, per = PRICE_KEYS[price_key]
        for context, start, amount in _by_context(model_id, price):
            try:
                rate = _Rate(price_per_unit(amount, per=per, kind=kind), start)
            except ValueError as error:
                raise _cannot_express(f"{model_id} ({price_key}): {error}") from error
            if rates.setdefault((context, modality, kind), rate) != rate:
                raise _cannot_express(f"{model_id} has two prices for {kind}")
    return rates


def _by_context(
    model_id: str, price: Decimal | TieredPrices
) -> Iterator[tuple[PromptContext, int | None, Decimal]]:
    if isinstance(price, Decimal):
        yield "standard", None, price
        return
    yield "standard", None, price.base
    if len(price.tiers) > 1:
        raise _cannot_express(f"{model_id} has more than one long context")
    for tier in price.tiers:
        yield "long", tier.start, tier.price


def _prices(model_id: str, tier: ServiceTier, periods: Sequence[_Period]) -> Iterator[Price]:
    """One price for each run of periods in which it stays the same."""
    for key in dict.fromkeys(key for period in periods for key in period.rates):
        context, modality, kind = key
        rated = [(period.rates.get(key), period.is_backdated, period) for period in periods]
        for (rate, is_backdated), run in groupby(rated, key=itemgetter(0, 1)):
            if rate is None:
                continue
            same = [period for _, _, period in run]
            yield Price(
                key=PriceKey(model_id, tier, context, modality, kind),
                long_context_from=rate.long_context_from,
                unit_price=rate.unit_price,
                valid_from=same[0].valid_from,
                valid_to=same[-1].valid_to,
                is_backdated=is_backdated,
            )


def _days_of_change(model: ModelInfo) -> list[date]:
    conditional = model.prices if isinstance(model.prices, list) else []
    dated: list[ConditionalPrice | PriceVariant] = [*conditional, *(model.price_variants or ())]
    days = set()
    for price in dated:
        if isinstance(price.constraint, StartDateConstraint):
            days.add(price.constraint.start_date)
        elif price.constraint is not None:
            raise _cannot_express(f"{model.id} has a price that depends on the time of day")
    return sorted(days)


def _is_active(variant: PriceVariant, day: date | None) -> bool:
    return variant.constraint is None or variant.constraint.active(_instant(day))


def _instant(day: date | None) -> datetime:
    day = day or date.min
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _cannot_express(what: str) -> FinopsError:
    return FinopsError(
        f"The price list of the installed genai-prices cannot be used: {what}.",
        "Install the version that requirements.txt names.",
    )

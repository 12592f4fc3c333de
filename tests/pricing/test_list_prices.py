"""Dated list prices: amounts as OpenAI's list gives them, tiers, contexts, modalities, units."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from importlib.metadata import version

import pytest
from genai_prices.data import providers
from genai_prices.types import (
    ClauseEquals,
    ConditionalPrice,
    ModelInfo,
    ModelPrice,
    PriceVariant,
    StartDateConstraint,
    Tier,
    TieredPrices,
    TimeOfDateConstraint,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from finops_pipeline.errors import FinopsError
from finops_pipeline.pricing import MODEL_PRICES, UNITS, PriceBook, ServiceTier
from finops_pipeline.pricing.list_prices import PRICE_KEYS, TIER_CONDITIONS, list_prices
from finops_pipeline.pricing.vocabulary import Price, PriceKey
from tests.pricing.billing import cost, rows_for, unit_price

OPENAI = next(provider for provider in providers if provider.id == "openai")
NOW = date(2026, 11, 1)


def test_a_day_of_gpt_4o(listed: PriceBook) -> None:
    # 3,641,816 input x 2.50, 76,544 cached x 1.25, 97,756 output x 10.00 USD a million
    # = 9.10454 + 0.09568 + 0.97756
    used = {"input": 3_641_816, "cached_input": 76_544, "output": 97_756}
    on = date(2025, 1, 13)
    assert cost(listed, "gpt-4o-2024-08-06", used, on=on) == Decimal("10.17778")


def test_a_day_of_gpt_5(listed: PriceBook) -> None:
    # 1,204,331 input x 1.25, 880,640 cached x 0.125, 240,017 output x 10.00 USD a million
    # = 1.50541375 + 0.11008 + 2.40017
    used = {"input": 1_204_331, "cached_input": 880_640, "output": 240_017}
    on = date(2025, 9, 1)
    assert cost(listed, "gpt-5-2025-08-07", used, on=on) == Decimal("4.01566375")


def test_a_day_of_gpt_5_mini(listed: PriceBook) -> None:
    # 5,000,003 input x 0.25, 123,456 cached x 0.025, 777,777 output x 2.00 USD a million
    # = 1.25000075 + 0.0030864 + 1.555554
    used = {"input": 5_000_003, "cached_input": 123_456, "output": 777_777}
    on = date(2025, 9, 1)
    assert cost(listed, "gpt-5-mini-2025-08-07", used, on=on) == Decimal("2.80864115")


def test_a_price_change_within_a_month_applies_from_its_day_on(listed: PriceBook) -> None:
    # gpt-5.6-sol, 2026-08-21: input 5 → 4, output 30 → 20 USD a million
    used = {"input": 1_000_000, "output": 1_000_000}
    assert cost(listed, "gpt-5.6-sol", used, on=date(2026, 8, 20)) == 35
    assert cost(listed, "gpt-5.6-sol", used, on=date(2026, 8, 21)) == 24


@pytest.mark.parametrize(
    ("name", "tier", "expected"),
    [
        # a million of input, of cached input and of output, in USD
        ("gpt-5", "standard", "11.375"),  # 1.25 + 0.125 + 10
        ("gpt-5", "batch", "5.6875"),  # 0.625 + 0.0625 + 5
        ("gpt-5", "flex", "5.6875"),  # 0.625 + 0.0625 + 5
        ("gpt-5", "priority", "22.75"),  # 2.50 + 0.25 + 20
        # the list has no cached price for these in batch: it stays the standard one
        ("gpt-4o-2024-11-20", "batch", "7.5"),  # 1.25 + 1.25 + 5
    ],
)
def test_service_tiers(listed: PriceBook, name: str, tier: str, expected: str) -> None:
    used = {"input": 1_000_000, "cached_input": 1_000_000, "output": 1_000_000}
    assert cost(listed, name, used, on=NOW, tier=tier) == Decimal(expected)


def test_a_tier_that_is_not_listed_is_unpriced(listed: PriceBook) -> None:
    assert unit_price(listed, "gpt-4o", "input", on=NOW, tier="flex") is None


def test_tools_cost_the_same_at_every_tier_and_are_listed_once(listed: PriceBook) -> None:
    at_tiers = [row for row in listed.prices().to_pylist() if row["service_tier"] != "standard"]
    assert {row["unit"] for row in at_tiers} == {"tokens"}


def test_long_context(listed: PriceBook) -> None:
    # gpt-5.4 above 272,000 input tokens: 5.00 in, 0.50 cached, 22.50 out USD a million
    used = {"input": 1_000_000, "cached_input": 1_000_000, "output": 1_000_000}
    assert cost(listed, "gpt-5.4", used, on=NOW) == Decimal("17.75")
    assert cost(listed, "gpt-5.4", used, on=NOW, context="long") == 28
    starts = {r["long_context_from"] for r in rows_for(listed, price_model="gpt-5.4")}
    assert starts == {None, 272_000}
    assert unit_price(listed, "gpt-5.4", "input", on=NOW, tier="priority", context="long") is None


def test_cache_writes(listed: PriceBook) -> None:
    # gpt-6-sol: 2.50 USD a million, 1.25 times its input
    assert cost(listed, "gpt-6-sol", {"cache_write": 400_000}, on=NOW) == 1


def test_modalities_that_the_list_tells_apart(listed: PriceBook) -> None:
    million = {"input": 1_000_000, "cached_input": 1_000_000, "output": 1_000_000}
    # gpt-realtime: text 4 + 0.40 + 16, audio 32 + 0.40 + 64
    assert cost(listed, "gpt-realtime", million, on=NOW, modality="text") == Decimal("20.4")
    assert cost(listed, "gpt-realtime", million, on=NOW, modality="audio") == Decimal("96.4")
    # gpt-image-1: 10 for images and 5 for text that go in, 40 for whatever comes out
    assert cost(listed, "gpt-image-1", {"input": 10**6}, on=NOW, modality="image") == 10
    assert cost(listed, "gpt-image-1", {"input": 10**6}, on=NOW, modality="text") == 5
    assert cost(listed, "gpt-image-1", {"output": 10**6}, on=NOW, modality="image") == 40


def test_audio_never_takes_the_price_of_text(listed: PriceBook) -> None:
    audio = {"input": 1_000_000, "output": 1_000_000}
    for name, expected in {
        "gpt-4o-audio-preview-2024-12-17": 40 + 80,
        "gpt-4o-audio-preview-2024-10-01": 100 + 200,
        "gpt-4o-realtime-preview-2024-10-01": 100 + 200,
        "gpt-4o-mini-audio-preview": 10 + 20,
    }.items():
        assert cost(listed, name, audio, on=NOW, modality="audio") == expected
    assert unit_price(listed, "gpt-4o-audio-preview", "input", on=NOW, modality="image") is None


def test_tools_seconds_and_characters(listed: PriceBook) -> None:
    # tts-1: 15 USD for a million characters; whisper-1: 0.006 USD a minute, 0.36 an hour
    assert cost(listed, "tts-1", {"characters": 20_000}, on=NOW) == Decimal("0.3")
    assert cost(listed, "whisper-1", {"seconds": 90}, on=NOW) == Decimal("0.009")
    # 10 and 25 USD for 1,000 searches, 2.50 for 1,000 file searches
    assert cost(listed, "web_search", {"web_search_calls": 140}, on=NOW) == Decimal("1.4")
    assert cost(listed, "web_search_preview", {"web_search_calls": 4}, on=NOW) == Decimal("0.1")
    assert cost(listed, "gpt-4.1", {"web_search_calls": 140}, on=NOW) == Decimal("1.4")
    assert cost(listed, "file_search", {"file_search_calls": 260}, on=NOW) == Decimal("0.65")
    # 0.03 USD a session, 0.10 a GB and day
    sessions = {"code_interpreter_sessions": 7}
    assert cost(listed, "code_interpreter", sessions, on=NOW) == Decimal("0.21")
    assert cost(listed, "vector_storage", {"vector_storage": 12}, on=NOW) == Decimal("1.2")


def test_free_is_a_price_and_unknown_is_none(listed: PriceBook) -> None:
    assert cost(listed, "omni-moderation-latest", {"input": 5_000_000}, on=NOW) == 0
    assert unit_price(listed, "dall-e-3", "images", on=NOW) is None
    free = {row["price_model"] for row in rows_for(listed, unit_price=Decimal(0))}
    assert free == {"moderation"}


def test_the_table_is_what_raw_expects(listed: PriceBook) -> None:
    table = listed.prices()
    assert table.schema == MODEL_PRICES
    rows = table.to_pylist()
    assert {row["price_book_version"] for row in rows} == {
        f"genai-prices {version('genai-prices')}"
    }
    assert {row["source"] for row in rows} == {"list"}
    assert all(row["unit"] == UNITS[row["token_kind"]] for row in rows)
    assert all(row["context"] == "standard" or row["long_context_from"] for row in rows)


def test_tiers_go_back_as_far_as_the_standard_price_was_the_same(listed: PriceBook) -> None:
    # o3 became cheaper on 2025-06-10; its batch price was verified on 2026-10-14
    rows = rows_for(listed, price_model="o3", service_tier="batch", token_kind="input")
    periods = [(r["valid_from"], r["valid_to"], r["is_backdated"]) for r in rows]
    verified = date(2026, 10, 14)
    assert periods == [(date(2025, 6, 10), verified, True), (verified, None, False)]
    assert {row["unit_price"] for row in rows} == {Decimal("0.000001")}
    assert unit_price(listed, "o3", "input", on=date(2025, 6, 9), tier="batch") is None
    assert unit_price(listed, "o3", "input", on=date(2025, 6, 9)) == Decimal("0.00001")
    assert not any(row["is_backdated"] for row in rows_for(listed, service_tier="standard"))


def model(prices: ModelPrice | list[ConditionalPrice], *variants: PriceVariant) -> ModelInfo:
    return ModelInfo(
        id="m",
        match=ClauseEquals(equals="m"),
        prices=prices,
        price_variants=list(variants),
    )


def input_price(usd: str) -> ModelPrice:
    return ModelPrice(input_mtok=Decimal(usd))


def batch(usd: str, day: date | None) -> PriceVariant:
    constraint = StartDateConstraint(start_date=day) if day else None
    return PriceVariant(
        when={"processing": "batch"}, prices=input_price(usd), constraint=constraint
    )


def test_a_later_change_of_a_tier_ends_the_earlier_price() -> None:
    later, earlier = date(2026, 11, 1), date(2026, 10, 14)
    # the first variant that applies wins, so the newest comes first
    found = list_prices([model(input_price("8"), batch("3", later), batch("4", earlier))])
    tier = PriceKey("m", "batch", "standard", None, "input")
    assert [(p.valid_from, p.valid_to, p.unit_price) for p in found if p.key == tier] == [
        (None, earlier, Decimal("0.000004")),
        (earlier, later, Decimal("0.000004")),
        (later, None, Decimal("0.000003")),
    ]


def test_a_tier_without_a_day_is_not_backdated() -> None:
    found = list_prices([model(input_price("8"), batch("4", None))])
    assert [(p.key.service_tier, p.is_backdated) for p in found] == [
        ("standard", False),
        ("batch", False),
    ]


def test_what_the_book_cannot_express_is_refused() -> None:
    long = [Tier(start=100, price=Decimal(2)), Tier(start=200, price=Decimal(3))]
    at_night = TimeOfDateConstraint(start_time=time(1), end_time=time(5))
    for odd, reason in (
        (model(ModelPrice(input_mtok=TieredPrices(base=Decimal(1), tiers=long))), "long context"),
        (model([ConditionalPrice(at_night, prices=input_price("1"))]), "time of day"),
        (model(input_price("0.0000001")), "12 decimals"),
        (model(input_price("1000000000000")), "a million USD"),
        (model(ModelPrice(audio_hours=Decimal(1), input_audio_hours=Decimal(2))), "two prices"),
    ):
        with pytest.raises(FinopsError, match=reason) as error:
            list(list_prices([odd]))
        assert "genai-prices" in str(error.value)


def test_only_prices_of_seconds_are_rounded() -> None:
    # 1.02 USD an hour is 0.00028333… a second
    [price] = list_prices([model(ModelPrice(audio_hours=Decimal("1.02")))])
    assert price.unit_price == Decimal("0.000283333333")


def test_nothing_in_the_installed_list_is_passed_over() -> None:
    for listed_model in OPENAI.models:
        prices = listed_model.prices
        conditional = prices if isinstance(prices, list) else [ConditionalPrice(prices=prices)]
        variants = listed_model.price_variants or []
        held = [*(c.prices for c in conditional), *(v.prices for v in variants)]
        assert all(vars(price).keys() <= PRICE_KEYS.keys() for price in held), listed_model.id
        fast = [vars(v.prices) for v in variants if v.when == {"service_tier": "fast"}]
        priority = [vars(v.prices) for v in variants if v.when == {"service_tier": "priority"}]
        assert fast == priority, listed_model.id
        known = [*TIER_CONDITIONS.values(), {"service_tier": "fast"}, {"service_tier": "default"}]
        assert all(variant.when in known for variant in variants), listed_model.id


def days_of_change() -> list[date]:
    days = {p.valid_from for p in list_prices(OPENAI.models) if p.valid_from}
    return sorted(days | {day - timedelta(days=1) for day in days} | {date(2025, 1, 1), NOW})


@pytest.mark.parametrize("tier", ["standard", "batch", "flex", "priority"])
def test_every_verified_price_is_the_one_that_the_package_itself_finds(tier: ServiceTier) -> None:
    """Day by day around every change, model by model: ours against the package's resolution."""
    ours: dict[str, list[Price]] = {}
    for price in list_prices(OPENAI.models):
        if price.key.service_tier == tier and not price.is_backdated:
            ours.setdefault(price.key.model, []).append(price)
    context = TIER_CONDITIONS.get(tier)
    compared = 0
    days = days_of_change()
    for listed_model in OPENAI.models:
        for day in days:
            at = datetime(day.year, day.month, day.day, 23, 59, tzinfo=UTC)
            theirs = listed_model.get_prices(at, context)
            for price in ours.get(listed_model.id, []):
                if not (price.valid_from or date.min) <= day < (price.valid_to or date.max):
                    continue
                expected = [
                    value if isinstance(value, Decimal) else value.base
                    for key, value in vars(theirs).items()
                    if PRICE_KEYS[key][:2] == (price.key.kind, price.key.modality)
                    if price.key.context == "standard"
                ] or [
                    value.tiers[0].price
                    for key, value in vars(theirs).items()
                    if PRICE_KEYS[key][:2] == (price.key.kind, price.key.modality)
                ]
                pers = {per for kind, _, per in PRICE_KEYS.values() if kind == price.key.kind}
                assert {round(e / per, 12) for e in expected for per in pers} == {price.unit_price}
                compared += 1
    assert compared > 500


@given(
    index=st.integers(min_value=0),
    day=st.dates(min_value=date(2023, 1, 1), max_value=date(2028, 1, 1)),
)
@settings(max_examples=200, derandomize=True)
def test_for_a_key_and_a_day_there_is_at_most_one_price(
    listed: PriceBook, index: int, day: date
) -> None:
    entries = listed.entries
    key = entries[index % len(entries)].key
    # a price without a modality and one with it would both count for the same tokens
    rivals = [
        p
        for p in entries
        if p.key._replace(modality=None) == key._replace(modality=None)
        and (p.key.modality is None or key.modality is None or p.key.modality == key.modality)
        and (p.valid_from or date.min) <= day < (p.valid_to or date.max)
    ]
    assert len(rivals) <= 1

"""Negotiated rates and unknown models, laid over the list for their time."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finops_pipeline.errors import UsageError
from finops_pipeline.pricing import PriceBook
from finops_pipeline.pricing.periods import laid_over, laid_under
from finops_pipeline.pricing.vocabulary import Price, PriceKey
from tests.pricing.billing import cost, price_file, price_model, rows_for, unit_price

NOW = date(2026, 11, 10)
MILLION = {"input": 1_000_000, "cached_input": 1_000_000, "output": 1_000_000}


def load(folder: Path, text: str) -> PriceBook:
    return PriceBook.load(price_file(folder, text))


def test_a_negotiated_rate_holds_for_its_days_and_the_list_before_and_after(
    tmp_path: Path,
) -> None:
    book = load(
        tmp_path,
        """
        prices:
          - model: gpt-4o
            per: 1_000_000 tokens
            prices: {input: 2.00, output: 8.00}
            valid_from: 2026-11-15
            valid_to: 2026-12-01
        """,
    )
    # list: 2.50 + 1.25 + 10; negotiated: 2.00 + 1.25 (not in the file) + 8.00
    for day, expected in {
        date(2026, 11, 14): "13.75",
        date(2026, 11, 15): "11.25",
        date(2026, 11, 30): "11.25",
        date(2026, 12, 1): "13.75",
    }.items():
        assert cost(book, "gpt-4o-2024-11-20", MILLION, on=day) == Decimal(expected)
    rows = rows_for(book, price_model="gpt-4o", service_tier="standard", token_kind="input")
    assert [(r["valid_from"], r["valid_to"], r["source"]) for r in rows] == [
        (None, date(2026, 11, 15), "list"),
        (date(2026, 12, 1), None, "list"),
        (date(2026, 11, 15), date(2026, 12, 1), "override"),
    ]
    # what the list says of these days is kept beside, for bills at the agreed rate
    in_force = book.prices().to_pylist()
    kept = [row for row in book.prices_and_replaced().to_pylist() if row not in in_force]
    assert [(r["token_kind"], r["unit_price"], r["valid_from"], r["valid_to"]) for r in kept] == [
        ("input", Decimal("0.0000025"), date(2026, 11, 15), date(2026, 12, 1)),
        ("output", Decimal("0.00001"), date(2026, 11, 15), date(2026, 12, 1)),
    ]
    # other tiers are not meant
    assert cost(book, "gpt-4o", MILLION, on=date(2026, 11, 20), tier="batch") == Decimal("7.5")


def test_an_override_spans_a_price_change_of_the_list(tmp_path: Path) -> None:
    book = load(
        tmp_path,
        """
        prices:
          - model: gpt-5.6-sol
            per: 1_000_000 tokens
            prices: {input: 4.50}
            valid_from: 2026-08-01
            valid_to: 2026-09-01
        """,
    )
    # list: 5 until 2026-08-21, then 4
    days = (date(2026, 7, 31), date(2026, 8, 1), date(2026, 8, 31), date(2026, 9, 1))
    found = [unit_price(book, "gpt-5.6-sol", "input", on=day) for day in days]
    assert found == [Decimal(n) / 10**6 for n in ("5", "4.5", "4.5", "4")]


def test_a_snapshot_of_its_own_leaves_the_others_alone(tmp_path: Path) -> None:
    book = load(
        tmp_path,
        """
        prices:
          - model: gpt-4o-2024-08-06
            per: 1_000_000 tokens
            prices: {input: 1.00}
          - model: gpt-4o
            per: 1_000_000 tokens
            prices: {input: 2.00, cached_input: 0.50}
        """,
    )
    assert unit_price(book, "gpt-4o-2024-11-20", "input", on=NOW) == Decimal("0.000002")
    assert unit_price(book, "gpt-4o-2024-08-06", "input", on=NOW) == Decimal("0.000001")
    # what the snapshot's entry does not say is as for its model: the override, then the list
    assert unit_price(book, "gpt-4o-2024-08-06", "cached_input", on=NOW) == Decimal("0.0000005")
    assert unit_price(book, "gpt-4o-2024-08-06", "output", on=NOW) == Decimal("0.00001")
    rows = book.names(["gpt-4o-2024-08-06", "gpt-4o"]).to_pylist()
    assert [(row["price_model"], row["matched_by"]) for row in rows] == [
        ("gpt-4o", "exact"),
        ("gpt-4o-2024-08-06", "override"),
    ]


def test_a_name_takes_over_what_the_file_says_of_its_model_whichever_is_longer(
    tmp_path: Path,
) -> None:
    # gpt-35-turbo-16k is another name of the list's gpt-3.5-turbo-16k
    book = load(
        tmp_path,
        """
        prices:
          - model: gpt-35-turbo-16k
            per: 1_000_000 tokens
            prices: {output: 1.00}
          - model: gpt-3.5-turbo-16k
            per: 1_000_000 tokens
            prices: {input: 2.00}
        """,
    )
    million = {"input": 1_000_000, "output": 1_000_000}
    assert cost(book, "gpt-35-turbo-16k", million, on=NOW) == 3
    assert cost(book, "gpt-3.5-turbo-16k", million, on=NOW) == 6


def test_models_that_no_list_knows(tmp_path: Path) -> None:
    book = load(
        tmp_path,
        """
        prices:
          - model: dall-e-3
            per: 1 image
            prices: {images: 0.04}
          - model: ft-gpt-5-2025-08-07
            per: 1_000_000 tokens
            prices: {input: 3, output: 20}
          - model: ft:gpt-5-2025-08-07:acme::x1
            per: 1_000_000 tokens
            prices: {output: 15}
          - model: house-model
            per: 1 minute
            prices: {seconds: 0.017}
        """,
    )
    assert cost(book, "dall-e-3", {"images": 85}, on=NOW) == Decimal("3.4")
    assert price_model(book, "ft:gpt-5-2025-08-07:acme::other") == "ft:gpt-5-2025-08-07"
    tokens = {"input": 1_000_000, "output": 1_000_000}
    assert cost(book, "ft:gpt-5-2025-08-07:acme::other", tokens, on=NOW) == 23
    assert cost(book, "FT:gpt-5-2025-08-07:acme::X1", tokens, on=NOW) == 18
    # 0.017 / 60, rounded at the 12th decimal as all prices of seconds
    assert unit_price(book, "house-model", "seconds", on=NOW) == Decimal("0.000283333333")
    assert price_model(book, "house-model-2026-02-03") == "house-model"
    assert unit_price(book, "house-model", "input", on=NOW) is None


def test_tier_context_and_modality(tmp_path: Path) -> None:
    book = load(
        tmp_path,
        """
        prices:
          - model: gpt-5.4
            tier: batch
            context: long
            per: 1_000_000 tokens
            prices: {input: 2.00}
          - model: house-model
            context: long
            long_context_from: 128000
            per: 1_000_000 tokens
            prices: {input: 9.00}
          - model: gpt-5-mini
            modality: audio
            per: 1_000_000 tokens
            prices: {input: 7.00}
        """,
    )
    form = {"tier": "batch", "context": "long"}
    assert cost(book, "gpt-5.4", {"input": 10**6}, on=NOW, **form) == 2
    assert cost(book, "gpt-5.4", {"input": 10**6}, on=NOW, context="long") == 5
    [row] = rows_for(book, price_model="gpt-5.4", source="override")
    assert row["long_context_from"] == 272_000
    [row] = rows_for(book, price_model="house-model")
    assert row["long_context_from"] == 128_000
    # with a price for audio, the one without a modality is text's
    assert cost(book, "gpt-5-mini", {"input": 10**6}, on=NOW, modality="audio") == 7
    assert cost(book, "gpt-5-mini", {"input": 10**6}, on=NOW) == Decimal("0.25")
    assert unit_price(book, "gpt-5-mini", "input", on=NOW, modality="image") is None
    assert cost(book, "gpt-5-mini", {"output": 10**6}, on=NOW, modality="image") == 2


@pytest.mark.parametrize(
    ("second", "is_fine"),
    [
        ({"valid_from": "2026-06-30"}, False),
        ({"valid_from": "2026-07-01"}, True),
        ({"valid_to": "2026-01-01"}, True),
        ({"valid_to": "2026-01-02"}, False),
        ({}, False),
        ({"tier": "batch"}, True),
        # text is what a price without a modality is, once another modality has a price
        ({"modality": "text"}, False),
        ({"modality": "audio"}, True),
    ],
)
def test_overrides_of_one_thing_must_not_overlap(
    tmp_path: Path, second: dict[str, str], is_fine: bool
) -> None:
    more = "".join(f"\n            {field}: {value}" for field, value in second.items())
    text = f"""
        prices:
          - model: gpt-5
            per: 1_000_000 tokens
            prices: {{input: 1.10}}
            valid_from: 2026-01-01
            valid_to: 2026-07-01
          - model: GPT-5
            per: 1_000_000 tokens
            prices: {{input: 1.05}}{more}
        """
    if is_fine:
        assert load(tmp_path, text).prices().num_rows
        return
    with pytest.raises(UsageError, match=r"entries 1 and 2 \(gpt-5\) both give input a price"):
        load(tmp_path, text)


def test_long_context_needs_a_beginning(tmp_path: Path) -> None:
    text = """
        prices:
          - model: gpt-5
            context: long
            per: 1_000_000 tokens
            prices: {input: 1.05}
        """
    with pytest.raises(UsageError, match=r"entry 1 \(gpt-5\).*long_context_from"):
        load(tmp_path, text)


KEY = PriceKey("m", "standard", "standard", None, "input")
DAYS = [date(2026, 1, day) for day in range(1, 29)]


def price(amount: int, start: int | None, end: int | None, **more: str) -> Price:
    return Price(
        key=KEY,
        unit_price=Decimal(amount),
        valid_from=None if start is None else DAYS[start],
        valid_to=None if end is None else DAYS[end],
    )


def on(prices: list[Price], day: date) -> list[Decimal]:
    return [
        p.unit_price for p in prices if (p.valid_from or date.min) <= day < (p.valid_to or date.max)
    ]


@st.composite
def timelines(draw: st.DrawFn, first_amount: int) -> list[Price]:
    """Prices of one key, one after the other, with gaps; the outer ones may be open."""
    cuts = sorted(draw(st.sets(st.integers(0, 27), min_size=2, max_size=8)))
    bounds: list[int | None] = [*cuts]
    if draw(st.booleans()):
        bounds[0] = None
    if draw(st.booleans()):
        bounds[-1] = None
    return [
        price(first_amount + number, bounds[number], bounds[number + 1])
        for number in range(len(bounds) - 1)
        if draw(st.booleans())
    ]


@given(base=timelines(first_amount=100), over=timelines(first_amount=200))
@settings(max_examples=300, derandomize=True)
def test_any_override_wins_on_its_days_and_only_there(base: list[Price], over: list[Price]) -> None:
    result = laid_over(base, over)
    for day in [date(2025, 1, 1), *DAYS, date(2027, 1, 1)]:
        assert on(result, day) == (on(over, day) or on(base, day))
        assert on(laid_under(base, over), day) == (on(base, day) if on(over, day) else [])
    for part in result:
        assert (part.valid_from or date.min) < (part.valid_to or date.max)

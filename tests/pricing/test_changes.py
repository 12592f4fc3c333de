"""What a new version of the list changes."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import pyarrow.compute as pc

from finops_pipeline.pricing import PRICE_CHANGES, PriceBook, changes
from tests.pricing.billing import price_file


def test_the_same_list_changes_nothing(listed: PriceBook) -> None:
    found = changes(listed.prices(), listed.prices())
    assert found.num_rows == 0
    assert found.schema == PRICE_CHANGES


def test_changed_appeared_and_disappeared_with_their_days(
    tmp_path: Path, listed: PriceBook
) -> None:
    old = listed.prices()
    new = PriceBook.load(
        price_file(
            tmp_path,
            """
            prices:
              - model: gpt-5.6-sol
                per: 1_000_000 tokens
                prices: {input: 4.50}
                valid_from: 2026-08-01
                valid_to: 2026-09-01
              - model: house-model
                per: 1 image
                prices: {images: 0.04}
                valid_from: 2026-11-01
            """,
        )
    ).prices()
    new = new.filter(pc.not_equal(new["price_model"], "tts-1"))
    standard = ("standard", "standard", None)
    sol = ("gpt-5.6-sol", *standard, "input", "changed")
    house = ("house-model", *standard, "images", "appeared")
    assert [tuple(row.values()) for row in changes(old, new).to_pylist()] == [
        # 5 until 2026-08-21, then 4: two periods with another price
        (*sol, usd("5"), usd("4.5"), date(2026, 8, 1), date(2026, 8, 21)),
        (*sol, usd("4"), usd("4.5"), date(2026, 8, 21), date(2026, 9, 1)),
        (*house, None, Decimal("0.04"), date(2026, 11, 1), None),
        ("tts-1", *standard, "characters", "disappeared", usd("15"), None, None, None),
    ]


def usd(of_a_million: str) -> Decimal:
    return Decimal(of_a_million) / 10**6

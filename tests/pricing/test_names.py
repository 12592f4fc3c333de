"""Names as usage and bills write them, and the model under which each is priced."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from finops_pipeline.pricing import MODEL_NAMES, SERVICE_TIERS, PriceBook, service_tiers, unpriced
from finops_pipeline.pricing.names import NameBook
from tests.pricing.billing import cost, unit_price

NOW = date(2026, 11, 1)


@pytest.mark.parametrize(
    ("name", "price_model", "matched_by"),
    [
        ("gpt-4o-2024-08-06", "gpt-4o", "exact"),
        ("GPT-4o ", "gpt-4o", "exact"),
        ("gpt-4o-2024-05-13", "gpt-4o-2024-05-13", "exact"),
        ("gpt-5-codex", "gpt-5", "exact"),
        ("gpt-4o-2031-01-31", "gpt-4o", "snapshot"),
        ("o3-pro-2031-01-31", "o3-pro", "snapshot"),
        ("omni-moderation-2024-09-26", "moderation", "exact"),
        ("web_search", "web_search", "exact"),
        ("gpt-9-2031-01-31", None, None),
        ("gpt-4o-2031-01", None, None),
        ("", None, None),
    ],
)
def test_ordinary_names(
    listed: PriceBook, name: str, price_model: str | None, matched_by: str | None
) -> None:
    assert listed.names([name]).to_pylist() == [
        {
            "model": name,
            "price_model": price_model,
            "base_model": name.strip().lower(),
            "is_fine_tuned": False,
            "matched_by": matched_by,
        }
    ]


@pytest.mark.parametrize(
    ("name", "base_model", "price_model"),
    [
        ("ft:gpt-4o-mini-2024-07-18:acme::AbC123", "gpt-4o-mini-2024-07-18", "ft:gpt-4o-mini"),
        ("ft-gpt-4o-mini-2024-07-18", "gpt-4o-mini-2024-07-18", "ft:gpt-4o-mini"),
        ("gpt-4o-mini-2024-07-18.ft-0a1b", "gpt-4o-mini-2024-07-18", "ft:gpt-4o-mini"),
        ("ft:gpt-4o-2024-08-06:acme:x:id:ckpt-step-9", "gpt-4o-2024-08-06", "ft:gpt-4o"),
        ("ft:gpt-4.1-2025-04-14:a::1", "gpt-4.1-2025-04-14", "ft:gpt-4.1-2025-04-14"),
        ("ft-o4-mini-2025-04-16", "o4-mini-2025-04-16", "ft:o4-mini-2025-04-16"),
        ("ft:davinci-002:acme::1", "davinci-002", "ft:davinci-002"),
        ("ft:gpt-3.5-turbo-0125:acme::1", "gpt-3.5-turbo-0125", "ft:gpt-3.5-turbo-"),
        # known models, but no price for what was made of them
        ("ft:gpt-5-2025-08-07:acme::1", "gpt-5-2025-08-07", None),
        ("ft:gpt-4-0613:acme::1", "gpt-4-0613", None),
        ("davinci:ft-acme-2022-11-01", "davinci", None),
    ],
)
def test_fine_tuned_names_are_never_priced_as_their_base(
    listed: PriceBook, name: str, base_model: str, price_model: str | None
) -> None:
    [row] = listed.names([name]).to_pylist()
    assert (row["base_model"], row["is_fine_tuned"]) == (base_model, True)
    assert row["price_model"] == price_model
    assert row["matched_by"] == ("fine_tuned" if price_model else None)


@pytest.mark.parametrize(
    ("name", "tier", "expected"),
    [
        # a million of input and of output, in USD
        ("ft:gpt-4o-2024-08-06:acme::1", "standard", "18.75"),  # 3.75 + 15
        ("ft:gpt-4o-mini-2024-07-18:acme::1", "standard", "1.5"),  # 0.30 + 1.20
        ("ft:gpt-4o-mini-2024-07-18:acme::1", "batch", "0.75"),  # 0.15 + 0.60
        ("ft-gpt-4.1-2025-04-14", "standard", "15"),  # 3 + 12
        ("ft-gpt-4.1-2025-04-14", "batch", "7.5"),  # 1.50 + 6
        ("ft-gpt-4.1-nano-2025-04-14", "standard", "1"),  # 0.20 + 0.80
        ("ft-o4-mini-2025-04-16", "standard", "20"),  # 4 + 16
        ("ft:babbage-002:acme::1", "standard", "3.2"),  # 1.60 + 1.60
    ],
)
def test_fine_tuned_prices(listed: PriceBook, name: str, tier: str, expected: str) -> None:
    used = {"input": 1_000_000, "output": 1_000_000}
    assert cost(listed, name, used, on=NOW, tier=tier) == Decimal(expected)


def test_cached_input_of_fine_tuned_models(listed: PriceBook) -> None:
    assert unit_price(listed, "ft-gpt-4o-2024-08-06", "cached_input", on=NOW) == Decimal(
        "0.000001875"
    )
    # nobody publishes one for batch
    ft = "ft-gpt-4.1-2025-04-14"
    assert unit_price(listed, ft, "cached_input", on=NOW, tier="batch") is None


def test_each_name_once_and_the_unpriced_ones_by_name(listed: PriceBook) -> None:
    names = listed.names(["zeta-1", "gpt-5", "gpt-5", "ft:gpt-5:acme::1", "gpt-5"])
    assert names.schema == MODEL_NAMES
    assert names["model"].to_pylist() == ["ft:gpt-5:acme::1", "gpt-5", "zeta-1"]
    assert unpriced(names) == ["ft:gpt-5:acme::1", "zeta-1"]
    assert listed.names([]).num_rows == 0


def test_every_name_in_use_finds_a_model_that_has_prices(listed: PriceBook) -> None:
    with_prices = {price.key.model for price in listed.entries}
    for model in with_prices:
        [row] = listed.names([model]).to_pylist()
        if not row["is_fine_tuned"]:
            assert row["price_model"] in with_prices


def test_a_model_that_the_list_knows_without_a_price_is_unpriced() -> None:
    book = NameBook(listed={"priced"}, listed_model=lambda name: name)
    assert book.find("priced").price_model == "priced"
    assert book.find("announced").price_model is None
    assert book.find("announced-2031-01-31").price_model is None


def test_service_tiers_on_the_wire() -> None:
    assert SERVICE_TIERS["fast"] == SERVICE_TIERS["priority"] == "priority"
    assert SERVICE_TIERS["default"] == "standard"
    assert "scale" not in SERVICE_TIERS
    rows = service_tiers().to_pylist()
    assert {row["wire_tier"]: row["service_tier"] for row in rows} == SERVICE_TIERS

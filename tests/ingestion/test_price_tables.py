"""The price book lands with each build for which something about it is new."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from finops_pipeline.errors import UsageError
from finops_pipeline.ingestion.endpoints import ALL_ENDPOINTS
from finops_pipeline.ingestion.price_tables import (
    PriceLanding,
    land_prices,
    price_changes,
    unpriced_models,
)
from tests.ingestion.company import FIRST, SimulatedCompany

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)

OVERRIDE = """\
prices:
  - model: gpt-4o-mini
    per: 1_000_000 tokens
    prices: {{input: {price}}}
    valid_from: 2026-01-01
"""


@pytest.fixture
def used(company: SimulatedCompany) -> SimulatedCompany:
    company.collect(FIRST, endpoints=ALL_ENDPOINTS)
    return company


def land(company: SimulatedCompany, price_file: Path | None = None, run: str = "r") -> PriceLanding:
    with company.warehouse.writing("landing prices"):
        return land_prices(company.warehouse, price_file, run_id=run, landed_at=NOON)


def names(company: SimulatedCompany) -> dict[str, str | None]:
    return dict(company.raw("SELECT model, price_model FROM raw.model_names"))


def changed(company: SimulatedCompany, run: str) -> list[dict[str, object]]:
    with company.warehouse.connect() as connection:
        return list(price_changes(connection, run).to_pylist())


def test_prices_and_the_names_in_use_land(used: SimulatedCompany) -> None:
    landing = land(used)
    assert landing.is_new
    assert landing.version.startswith("genai-prices ")
    found = names(used)
    assert found["gpt-4o-mini-2024-07-18"] == "gpt-4o-mini"
    assert found["o3-2025-04-16"] == "o3"
    assert not any("search" in name or "storage" in name for name in found)
    for table, rows in landing.rows.items():
        assert used.count(table) == rows
    assert ("default", "standard") in used.raw("SELECT * FROM raw.service_tiers")
    assert used.raw(
        "SELECT unit_price FROM raw.model_prices WHERE price_model = 'gpt-4o-mini' "
        "AND service_tier = 'standard' AND context = 'standard' AND token_kind = 'input' "
        "AND coalesce(modality, 'text') = 'text'"
    ) == [(Decimal("0.00000015"),)]
    assert changed(used, "r") == []


def test_an_unchanged_book_is_not_landed_again(used: SimulatedCompany) -> None:
    land(used, run="first")
    assert not land(used, run="second").is_new
    assert used.raw("SELECT run_id FROM raw.price_book") == [("first",)]


def test_another_model_in_use_lands_its_name(used: SimulatedCompany) -> None:
    land(used)
    with used.warehouse.connect() as connection:
        connection.execute(
            "UPDATE raw.costs SET line_item = 'Batch |  GPT-9-Preview audio , input' "
            "WHERE line_item = (SELECT any_value(line_item) FROM raw.costs "
            "                   WHERE line_item LIKE '%, input')"
        )
    assert land(used).is_new
    with used.warehouse.connect() as connection:
        assert unpriced_models(connection) == ["gpt-9-preview"]


def test_another_price_is_a_change_of_the_build_that_landed_it(
    used: SimulatedCompany, tmp_path: Path
) -> None:
    land(used, run="list")
    prices = tmp_path / "prices.yaml"
    prices.write_text(OVERRIDE.format(price="0.10"))
    assert land(used, prices, "override").is_new
    (change,) = (each for each in changed(used, "override") if each["token_kind"] == "input")
    assert (change["price_model"], change["change"]) == ("gpt-4o-mini", "changed")
    assert change["new_price"] == Decimal("0.0000001")
    assert change["valid_from"] == date(2026, 1, 1)
    assert not land(used, prices, "later").is_new
    assert changed(used, "later") == []


def test_a_price_file_that_is_wrong_changes_nothing(used: SimulatedCompany, tmp_path: Path) -> None:
    land(used)
    prices = tmp_path / "prices.yaml"
    with pytest.raises(UsageError):
        land(used, prices)
    prices.write_text(OVERRIDE.format(price="much"))
    with pytest.raises(UsageError):
        land(used, prices)
    assert used.raw("SELECT run_id FROM raw.price_book") == [("r",)]

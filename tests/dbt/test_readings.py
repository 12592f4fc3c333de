"""Which reading of a day is shown. One build; every scenario is an organization of its own."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from tests.dbt.conftest import Marts, Warehouse, at, cost

DAY = date(2026, 3, 1)


@pytest.fixture(scope="module")
def marts(new_warehouse: Callable[[], Warehouse]) -> Marts:
    warehouse = new_warehouse()
    warehouse.settings(date(2026, 3, 20))
    for name in ("emptied", "again", "crashed", "kept", "credit", "euros", "nulls"):
        warehouse.team(name, f"key-{name}", is_active=True)

    def read(name: str, rows: list[dict[str, Any]], day: int, **more: Any) -> None:
        warehouse.read(name, DAY, rows, at(date(2026, 3, day), 2), key=f"key-{name}", **more)

    a, b = [cost("1.5", "again")], [cost("2.5", "again")]
    read("emptied", [cost("9", "emptied")], 2)
    read("emptied", [], 3)
    read("again", a, 2)
    read("again", b, 3)
    read("again", a, 4, collection_id="second a")
    read("again", a, 5)
    read("crashed", [cost("4", "crashed")], 2)
    read("crashed", [cost("5", "crashed")], 3, complete=False)
    read("kept", [cost("3", "kept")], 2, collection_id="first read")
    read("kept", [cost("3", "kept")], 6)
    warehouse.fail("kept", DAY, at(date(2026, 3, 7)), "outage")
    read("credit", [cost("10", "credit"), cost("-12.25", "credit", line_item="credit")], 2)
    read("euros", [cost("1", "euros"), cost("2", "euros", currency="EUR")], 2)
    read("nulls", [cost(None, "nulls", line_item="x"), cost("1", currency=None)], 2)
    return warehouse.build()


def shown(marts: Marts, name: str, columns: str = "cost") -> list[tuple[object, ...]]:
    return marts.rows("fct_costs", columns, f"organization_id = 'local-{name}'")


def test_a_day_restated_to_empty_ends_as_empty(marts: Marts) -> None:
    assert shown(marts, "emptied") == []
    assert marts.rows("rpt_collection_status", "row_count, cost", "team_id = 'emptied'")[0] == (
        0,
        Decimal(0),
    )


def test_content_that_came_back_dates_from_its_return(marts: Marts) -> None:
    assert shown(marts, "again", "cost, collection_id, collected_at") == [
        (Decimal("1.5"), "second a", at(date(2026, 3, 4), 2))
    ]


def test_rows_and_entry_of_an_unfinished_load_are_invisible(marts: Marts) -> None:
    assert shown(marts, "crashed") == [(Decimal(4),)]
    assert marts.rows("rpt_collections", "cost", "team_id = 'crashed'") == [(Decimal(4),)]


def test_an_unchanged_reading_keeps_the_first_date_and_settles_the_day(marts: Marts) -> None:
    assert shown(marts, "kept", "cost, collection_id, collected_at, is_settled") == [
        (Decimal(3), "first read", at(date(2026, 3, 2), 2), True)
    ]


def test_a_credit_passes_through_and_is_named(marts: Marts) -> None:
    assert shown(marts, "credit", "cost, charge_category") == [
        (Decimal("-12.25"), "Credit"),
        (Decimal(10), "Usage"),
    ]


def test_currencies_are_never_added_up(marts: Marts) -> None:
    assert shown(marts, "euros", "currency, cost") == [("EUR", Decimal(2)), ("USD", Decimal(1))]


def test_a_missing_amount_is_nothing_and_a_missing_currency_is_dollars(marts: Marts) -> None:
    assert shown(marts, "nulls", "line_item, cost, currency") == [
        ("gpt-4o-2024-08-06, input", Decimal(1), "USD"),
        ("x", Decimal(0), "USD"),
    ]


def test_every_row_has_a_key_of_its_own_and_the_published_types(marts: Marts) -> None:
    assert marts.query("select count(*) - count(distinct cost_id) from fct_costs") == [(0,)]
    types = dict(marts.query("select column_name, column_type from (describe fct_costs)"))
    assert types["cost"] == "DECIMAL(38,18)"
    assert types["quantity"] == "DECIMAL(28,6)"
    assert types["cost_date"] == "DATE"
    assert types["collected_at"] == "TIMESTAMP WITH TIME ZONE"

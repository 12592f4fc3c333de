"""What a grouping adds up, nulls and splits."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import date
from decimal import Decimal
from itertools import combinations
from typing import Any

import pytest

from finops_pipeline.simulator import RestatedRow

DAY = date(2026, 3, 10)
DIMENSIONS = ("project_id", "line_item", "api_key_id", "user_id", "api_source")
GROUPINGS = [grouping for size in range(4) for grouping in combinations(DIMENSIONS[:4], size)] + [
    DIMENSIONS
]


@pytest.mark.parametrize("grouping", GROUPINGS, ids="+".join)
def test_a_grouping_sums_over_the_rest_and_nulls_it(
    unchanging: Any, grouping: tuple[str, ...]
) -> None:
    shown = {*grouping, "project_id"} if "line_item" in grouping else set(grouping)
    expected: dict[tuple[str | None, ...], Decimal] = defaultdict(Decimal)
    for row in unchanging.rows(DAY, group_by=DIMENSIONS):
        key = tuple(row[name] if name in shown else None for name in DIMENSIONS)
        expected[key] += row["amount"]["value"]
    rows = unchanging.rows(DAY, group_by=grouping)
    found = {
        tuple(row[name] for name in DIMENSIONS): Decimal(row["amount"]["value"]) for row in rows
    }
    assert found == dict(expected)
    assert len(found) == len(rows)


def test_quantities_stand_on_line_items_alone(unchanging: Any) -> None:
    rows = unchanging.rows(DAY)
    assert {row["quantity_unit"] for row in rows if row["line_item"].endswith("input")} == {
        "tokens"
    }
    assert all(row["quantity"] > 0 for row in rows)
    for row in unchanging.rows(DAY, group_by=("project_id",)):
        assert (row["quantity"], row["quantity_unit"]) == (None, None)


def test_quantities_add_up_over_api_keys(unchanging: Any) -> None:
    fine: Counter[tuple[str, str]] = Counter()
    for row in unchanging.rows(DAY):
        fine[row["project_id"], row["line_item"]] += row["quantity"]
    coarse = unchanging.rows(DAY, group_by=("project_id", "line_item"))
    assert {(row["project_id"], row["line_item"]): row["quantity"] for row in coarse} == fine


def test_rows_kept_apart_show_one_key_twice(company: Any) -> None:
    row = RestatedRow(amount=Decimal("1.5"), line_item="Vector storage", apart=True)
    company.control.restate(company.organization.id, DAY, "replace", rows=[row, row])
    rows = company.rows(DAY)
    assert [each["amount"]["value"] for each in rows] == [Decimal("1.5")] * 2
    [total] = company.control.totals(company.organization.id, DAY, date(2026, 3, 11))
    assert total.amount == 3


def test_different_currencies_are_never_added(company: Any) -> None:
    rows = [RestatedRow(amount=Decimal(1)), RestatedRow(amount=Decimal(2), currency="eur")]
    company.control.restate(company.organization.id, DAY, "replace", rows=rows)
    found = {
        row["amount"]["currency"]: row["amount"]["value"] for row in company.rows(DAY, group_by=())
    }
    assert found == {"usd": 1, "eur": 2}
    totals = company.control.totals(company.organization.id, DAY, date(2026, 3, 11))
    assert {(total.currency, total.amount) for total in totals} == {("usd", 1), ("eur", 2)}

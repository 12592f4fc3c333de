"""Amounts on the wire: every spelling has the same value."""

from __future__ import annotations

import re
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from finops_pipeline.simulator import RestatedRow
from finops_pipeline.simulator.catalogue import OFFERS

DAY = date(2026, 3, 10)
FIRST = date(2025, 12, 6)
AFTER = date(2026, 4, 2)


def values(company: Any) -> list[Any]:
    return [row["amount"]["value"] for row in company.rows(DAY)]


def test_amounts_are_numbers_strings_or_both_with_one_value(company: Any) -> None:
    numbers = values(company)
    company.control.set_wire(amounts="string")
    strings = values(company)
    company.control.set_wire(amounts="mixed")
    mixed = values(company)
    assert {type(value) for value in numbers} <= {Decimal, int}
    assert {type(value) for value in strings} == {str}
    assert {type(value) for value in mixed} >= {Decimal, str}
    for spelled in (strings, mixed):
        assert [Decimal(value) for value in spelled] == [Decimal(value) for value in numbers]


def test_a_string_zero_is_written_as_the_api_wrote_it(company: Any) -> None:
    company.control.set_wire(amounts="string")
    assert "0E-6176" in values(company)
    company.control.set_wire(amounts="number")
    assert 0 in values(company)


def test_an_amount_is_quantity_times_list_price(unchanging: Any) -> None:
    prices = {item.text: item.unit_price for items in OFFERS.values() for item in items}
    for row in unchanging.rows(DAY):
        exact = Decimal(row["quantity"]) * prices[row["line_item"]]
        assert abs(row["amount"]["value"] - exact) < Decimal("1e-24")


def test_some_amounts_have_more_decimals_than_can_be_kept(unchanging: Any) -> None:
    decimals = [
        -Decimal(row["amount"]["value"]).as_tuple().exponent  # type: ignore[operator]
        for bucket in unchanging.buckets(FIRST, AFTER)
        for row in bucket["results"]
    ]
    assert max(decimals) == 39
    assert sum(places > 18 for places in decimals) > 100


def test_there_is_a_credit_and_spend_without_project_or_line_item(unchanging: Any) -> None:
    rows = [
        row
        for key in unchanging.keys[1:]
        for bucket in unchanging.buckets(FIRST, AFTER, key=key)
        for row in bucket["results"]
    ]
    assert [row["line_item"] for row in rows if row["amount"]["value"] < 0] == ["Service credit"]
    without_project = {row["line_item"] for row in rows if row["project_id"] is None}
    assert without_project == {"Vector storage", "Scale tier", None}


def test_digits_reach_the_wire_as_they_were_planted(company: Any) -> None:
    planted = ["0.10", "-3.50", "1E-7", "9007199254740993.123456789012345678"]
    rows = [
        RestatedRow(amount=Decimal(text), line_item=text, quantity=Decimal(2**53 + 1))
        for text in planted
    ]
    company.control.restate(company.organization.id, DAY, "replace", rows=rows)
    text = company.costs(DAY).text
    assert re.findall(r'"value":([^,]+),', text)[:4] == planted
    assert '"quantity":9007199254740993,' in text


@pytest.mark.parametrize("present", [True, False])
def test_undocumented_fields_can_be_switched(company: Any, present: bool) -> None:
    company.control.set_wire(undocumented_fields=present, organization_id_on_wire=present)
    [bucket] = company.buckets(DAY, DAY + timedelta(days=1))
    assert ("start_time_iso" in bucket) is present
    undocumented = {
        "organization_id",
        "organization_name",
        "project_name",
        "user_id",
        "user_email",
        "api_source",
    }
    for row in bucket["results"]:
        assert undocumented & set(row) == (undocumented if present else set())
    if present:
        assert bucket["results"][0]["organization_id"] == company.organization.id


def test_a_user_that_is_asked_for_is_answered_whatever_else_is_left_out(company: Any) -> None:
    company.control.set_wire(undocumented_fields=False)
    rows = company.rows(DAY, group_by=("user_id",))
    assert any(row["user_id"].startswith("user-") for row in rows if row["user_id"])

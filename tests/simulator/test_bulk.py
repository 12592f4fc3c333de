"""Large companies for measurements: exact row counts, rendered beforehand."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from finops_pipeline.simulator import Scenario, SimulatedServer


@pytest.mark.parametrize("rows_per_day", [1, 50, 1500])
def test_every_day_has_exactly_the_rows_asked_for(
    open_company: Callable[[Scenario], Any], rows_per_day: int
) -> None:
    scenario = Scenario.bulk(organizations=2, projects=3, days=5, rows_per_day=rows_per_day)
    company = open_company(scenario)
    for key in company.keys:
        buckets = company.buckets(scenario.start, key=key)
        assert [len(bucket["results"]) for bucket in buckets] == [rows_per_day] * 5
    keys = {
        (row["project_id"], row["line_item"], row["api_key_id"])
        for row in company.rows(scenario.start)
    }
    assert len(keys) == rows_per_day


def test_rendering_beforehand_changes_no_answer(open_company: Callable[[Scenario], Any]) -> None:
    scenario = Scenario.bulk(organizations=1, projects=3, days=20, rows_per_day=40)
    company = open_company(scenario)
    late = company.costs(scenario.start, limit=180).content
    with SimulatedServer(scenario, prerender=True) as server:
        company.server = server
        assert company.costs(scenario.start, limit=180).content == late
        day = scenario.start + timedelta(days=3)
        server.control.restate(company.organization.id, day, "empty")
        assert company.rows(day) == []
        server.control.prerender()
        assert company.rows(day) == []


def test_bulk_totals_are_the_sums_of_the_pages(open_company: Callable[[Scenario], Any]) -> None:
    scenario = Scenario.bulk(organizations=1, projects=2, days=4, rows_per_day=30)
    company = open_company(scenario)
    places = Decimal("1e-18")
    read = sum(
        Decimal(row["amount"]["value"]).quantize(places)
        for bucket in company.buckets(scenario.start)
        for row in bucket["results"]
    )
    company.control.prerender()
    assert sum(total.amount for total in company.control.totals()) == read


def test_every_project_and_key_registers() -> None:
    scenario = Scenario.bulk(
        organizations=3, projects=4, days=2, rows_per_day=5, end=date(2026, 3, 1)
    )
    assert [team.admin_key for team in scenario.registration.teams] == [
        each.admin_keys[0] for each in scenario.organizations
    ]
    assert len(scenario.registration.projects) == 12
    assert scenario.start == date(2026, 2, 27)

"""Every request of a simulated company gets its share of the bill, to the last digit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import duckdb
import pytest

from finops_pipeline.simulator.gaps import Told
from finops_pipeline.simulator.model import Charge, SimulatedOrganization, SimulatedProject
from finops_pipeline.simulator.organization import Organization
from finops_pipeline.simulator.requests import requests_of_day
from finops_pipeline.simulator.restatement import Restatement
from finops_pipeline.simulator.usage import ENDPOINTS, rows
from tests.dbt.conftest import Marts, Warehouse, at
from tests.request_bills import rows_billed, shares, tokens_billed, tokens_unexplained

WHOLE, PART, KEYS = (date(2026, 3, day) for day in (2, 3, 4))
"""A day with all requests, one that lost every twentieth, and one that names keys alone."""

BEFORE = date(2026, 3, 1)
"""The bill was read for it, and no request was logged."""

REPORTS = (
    "rpt_request_costs",
    "rpt_request_coverage",
    "rpt_request_discrepancies",
    "rpt_user_costs",
)
MODELS = (*(f"+{report}" for report in REPORTS), "+dim_teams", "+dim_projects")
TESTED = (*REPORTS, "fct_request_costs", "int_requests_*", "int_bills_claimed", "int_bills_logged")

PROJECTS = {
    "chat": (
        "gpt-4o-2024-08-06",
        "priority | gpt-4o-2024-08-06",
        "batch | gpt-4.1-2025-04-14",
        "gpt-5.4-2026-03-05, long context",
        "gpt-5.4-2026-03-05",
        "web search tool calls",
    ),
    "help": (
        "assistants api | gpt-4o-2024-08-06",
        "gpt-4o-2024-08-06",
        "ft-gpt-4o-mini-2024-07-18",
        "text-embedding-3-small",
        "gpt-4o-audio-preview-2024-12-17",
        "flex | o4-mini-2025-04-16",
    ),
    "other": ("gpt-5-mini-2025-08-07",),
    "drawn": ("gpt-image-1",),
}
COMPANY = SimulatedOrganization(
    id="org-1",
    name="Acme",
    admin_keys=["sk-admin-made-up"],
    projects=tuple(
        SimulatedProject(id=f"proj_{name}", uses=uses, api_keys=2, volume_percent=137)
        for name, uses in PROJECTS.items()
    ),
    organization_uses=("Vector storage",),
    charges=(
        Charge(day=WHOLE, amount=Decimal("-4.21"), project_id="proj_chat", line_item="Credit"),
        Charge(day=PART, amount=Decimal(125)),
    ),
)


@dataclass
class Logged:
    """A company whose applications log their requests."""

    warehouse: Warehouse
    organization: Organization
    requests: dict[date, list[dict[str, Any]]]
    marts: Marts

    def bill(self, day: date, *, hours: int = 0) -> None:
        """Read the day's bill and usage, five days and so many hours after it."""
        when = at(day, days=5) + timedelta(hours=hours)
        read = self.warehouse.read
        read("one", day, self.billed(day), when, key="key-1", organization_id="org-1")
        for endpoint in ("completions", "embeddings"):
            told: list[Told] = self.organization.used(endpoint, day)
            used = [
                about | {name: Decimal(value) for name, value in measures.items()}
                for about, measures in rows(
                    endpoint, told, frozenset(ENDPOINTS[endpoint].dimensions), {}
                )
            ]
            read("one", day, used, when, key="key-1", endpoint=endpoint)

    def billed(self, day: date) -> list[dict[str, Any]]:
        return [
            {
                "amount": row.amount,
                "project_id": row.project_id,
                "api_key_id": row.api_key_id,
                "line_item": row.line_item,
                "currency": "USD",
                "quantity": row.quantity,
                "quantity_unit": row.quantity_unit,
            }
            for row in rows_billed(self.organization, day)
        ]


def land(warehouse: Warehouse, lines: list[dict[str, Any]], name: str) -> None:
    load_id = warehouse.load()
    for number, line in enumerate(lines):
        requested_at = datetime.fromisoformat(line["requested_at"])
        parts = ("input_cached_tokens", "input_audio_tokens", "output_audio_tokens")
        zeros = dict.fromkeys(parts, 0)
        facts = {
            "file_id": name,
            "line_number": number,
            "landed_at": at(BEFORE, days=10),
            "cost_date": requested_at.astimezone(UTC).date(),
            "_dlt_load_id": load_id,
        }
        warehouse.add("requests", facts | zeros, line | {"requested_at": requested_at})


@pytest.fixture(scope="module")
def company(new_warehouse: Callable[[], Warehouse]) -> Logged:
    warehouse = new_warehouse()
    warehouse.settings(date(2026, 4, 1))
    warehouse.team("one", "key-1")
    warehouse.project("chat", ("one", None, None))
    warehouse.project("help", ("one", None, None))
    organization = Organization(COMPANY, seed=7, start=BEFORE)
    requests = {
        day: list(requests_of_day(organization, day, seed=7, tokens_per_request=60_000))
        for day in (WHOLE, PART, KEYS)
    }
    models = {line["model"] for lines in requests.values() for line in lines}
    warehouse.price(*models, "ft-gpt-4o-mini-2024-07-18")
    company = Logged(warehouse, organization, requests, Marts(warehouse.folder))
    for day in (BEFORE, WHOLE, PART, KEYS):
        company.bill(day)
    land(warehouse, requests[WHOLE], "whole")
    land(warehouse, [line for n, line in enumerate(requests[PART]) if n % 20], "part")
    alone = [
        {name: value for name, value in line.items() if name != "openai_project_id"}
        for line in requests[KEYS]
    ]
    land(warehouse, alone, "keys")
    company.marts = warehouse.run("--select", *MODELS)
    statuses = warehouse.dbt(
        "test", "--exclude-resource-type", "unit_test", "--select", *TESTED, land=False
    )
    assert len(statuses) > 10
    assert set(statuses.values()) == {"pass"}
    return company


@pytest.mark.parametrize("day", [WHOLE, KEYS])
def test_shares_are_the_bill_to_the_last_digit(company: Logged, day: date) -> None:
    expected = tokens_billed(company.organization, day)
    assert len(expected) > 20
    of_requests = f"cost_date = '{day}' and request_id is not null"
    assert shares(company.marts.query, of_requests) == expected


@pytest.mark.parametrize("day", [WHOLE, KEYS])
def test_every_settled_request_is_matched(company: Logged, day: date) -> None:
    ((count, statuses, settled),) = company.marts.query(
        "select count(*), list(distinct reconciliation_status), count(reconciled_at)"
        f" from fct_request_costs where cost_date = '{day}' and request_id is not null"
    )
    assert statuses == ["matched"]
    assert count == settled == len(company.requests[day]) > 500


def test_the_rest_is_what_has_no_request(company: Logged) -> None:
    """Of a whole day tools, storage, a credit; at tokens that were lost, exactly their price."""
    rest = company.marts.query(
        "select openai_project_id, model, billed_cost, input_cost + cached_input_cost + output_cost"
        f" from fct_request_costs where cost_date = '{WHOLE}' and request_id is null"
    )
    assert {(model, tokens) for _, model, _, tokens in rest} == {(None, 0)}
    tools = sum(row["amount"] for row in company.billed(WHOLE) if "," not in row["line_item"])
    assert sum(cost for _, _, cost, _ in rest) == tools != 0
    lost = [line for number, line in enumerate(company.requests[PART]) if number % 20 == 0]
    expected = tokens_unexplained(company.organization, PART, lost)
    assert len(expected) > 20
    of_nobody = f"cost_date = '{PART}' and request_id is null"
    assert shares(company.marts.query, of_nobody) == expected


def test_where_requests_were_lost_the_others_are_as_before(company: Logged) -> None:
    ((wrong, count),) = company.marts.query(
        "select count(*) filter (where reconciliation_status != 'matched'), count(*)"
        f" from fct_request_costs where cost_date = '{PART}' and request_id is not null"
    )
    logged = sum(1 for number, _ in enumerate(company.requests[PART]) if number % 20)
    assert (wrong, count) == (0, logged)
    assert shares(company.marts.query, f"cost_date = '{PART}'") == tokens_billed(
        company.organization, PART
    )


def test_nothing_is_counted_before_the_first_log(company: Logged) -> None:
    assert company.marts.query("select min(cost_date) from fct_request_costs") == [(WHOLE,)]
    for day in (WHOLE, PART, KEYS):
        total = sum(row["amount"] for row in company.billed(day))
        assert company.marts.query(
            f"select sum(billed_cost) from fct_request_costs where cost_date = '{day}'"
        ) == [(total,)]


def test_reports_add_up(company: Logged) -> None:
    marts = company.marts
    ((billed,),) = marts.query("select sum(billed_cost) from fct_request_costs")
    assert marts.query("select sum(billed_cost) from rpt_request_coverage") == [(billed,)]
    ((of_requests,),) = marts.query(
        "select sum(billed_cost) from fct_request_costs where request_id is not null"
    )
    assert marts.query("select sum(billed_cost) from rpt_user_costs") == [(of_requests,)]
    assert marts.query("select sum(billed_cost) from rpt_request_discrepancies") == [(of_requests,)]
    assert marts.query(
        "select count(*) from rpt_request_discrepancies"
        " where discrepancy_count > 0 or unbilled_count > 0 or average_difference_ratio > 0.05"
    ) == [(0,)]
    shares = marts.query(
        "select sum(share_of_bill) from rpt_request_coverage"
        " where model_bill != 0 group by month, team_id, project_id, model, currency"
    )
    assert [share for (share,) in shares] == pytest.approx([1.0] * len(shares))
    ((gpt_5_mini,),) = marts.query(
        "select sum(share_of_bill) from rpt_request_coverage"
        " where model = 'gpt-5-mini-2025-08-07' and is_explained"
    )
    assert 0.97 < gpt_5_mini < 0.99


@pytest.fixture(scope="module")
def before(company: Logged) -> dict[date, list[tuple[Any, ...]]]:
    """What was in the fact, by day, before one day was restated and another got late requests."""
    before = {
        day: company.marts.rows("fct_request_costs", where=f"cost_date = '{day}'")
        for day in (WHOLE, PART, KEYS)
    }
    # Three per cent more, which is within the tolerance of five; read once more to settle it.
    company.organization.restate(WHOLE, Restatement(operation="scale", factor=Decimal("1.03")))
    company.bill(WHOLE, hours=1)
    company.bill(WHOLE, hours=24 * 4)
    # Two that were lost, and 38 that are told again.
    land(company.warehouse, company.requests[PART][:40], "late")
    company.warehouse.run("--select", "+fct_request_costs")
    return before


Before = dict[date, list[tuple[Any, ...]]]


def test_a_restated_day_is_shared_anew(company: Logged, before: Before) -> None:
    marts = company.marts
    of_requests = f"cost_date = '{WHOLE}' and request_id is not null"
    assert shares(marts.query, of_requests) == tokens_billed(company.organization, WHOLE)
    total = sum(row["amount"] for row in company.billed(WHOLE))
    assert marts.query(
        "select sum(billed_cost), list_sort(list(distinct reconciliation_status)),"
        " list(distinct reconciled_at)"
        f" from fct_request_costs where cost_date = '{WHOLE}'"
    ) == [(total, ["matched", "unexplained"], [at(WHOLE, days=9)])]
    assert len(before[WHOLE]) == len(
        marts.rows("fct_request_costs", where=f"cost_date = '{WHOLE}'")
    )


def test_late_requests_count_once(company: Logged, before: Before) -> None:
    def requests_in(rows: list[tuple[Any, ...]]) -> int:
        return sum(1 for row in rows if row[1] is not None)

    now = company.marts.rows("fct_request_costs", where=f"cost_date = '{PART}'")
    assert requests_in(now) == requests_in(before[PART]) + 2


def test_only_days_that_changed_are_made_anew(company: Logged, before: Before) -> None:
    with duckdb.connect(str(company.warehouse.folder / "warehouse.duckdb")) as connection:
        assert connection.execute(
            "select cost_date from intermediate.int_requests_changed order by all"
        ).fetchall() == [(WHOLE,), (PART,)]
    marts = company.marts
    assert marts.rows("fct_request_costs", where=f"cost_date = '{KEYS}'") == before[KEYS]
    anew = company.warehouse.build_anew("--select", "+fct_request_costs")
    assert anew.rows("fct_request_costs") == marts.rows("fct_request_costs")

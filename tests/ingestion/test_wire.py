"""However the API writes it, each cent arrives: day totals equal the truth as decimals."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal

import pytest

from finops_pipeline.simulator import RestatedRow, Scenario, Wire
from tests.ingestion.company import (
    DIGITAL,
    FIRST,
    TEAMS,
    Company,
    SimulatedCompany,
    three_teams,
)
from tests.openai_admin.conftest import Reply, ScriptedServer, bucket, page, row

SECOND = FIRST + timedelta(days=1)
LAST = FIRST + timedelta(days=2)
CREDIT = RestatedRow(amount=Decimal("-84.210000000000000000000000000000000000001"))
ZERO = RestatedRow(amount=Decimal(0), project_id="proj_ranking", line_item="free of charge")


@pytest.mark.parametrize(
    "wire",
    [
        Wire(amounts="number"),
        Wire(amounts="string", end_of_pages="empty"),
        Wire(amounts="mixed", organization_id_on_wire=False, undocumented_fields=False),
    ],
    ids=lambda wire: wire.amounts,
)
def test_day_totals_are_the_truth(
    make_company: Callable[[Scenario], SimulatedCompany], wire: Wire
) -> None:
    company = make_company(three_teams(wire=wire))
    company.server.control.restate(DIGITAL, FIRST, "add", rows=[CREDIT, ZERO, CREDIT])
    company.server.control.restate(DIGITAL, LAST, "empty")

    collection = company.collect(FIRST, LAST)

    assert collection.failed_teams == {}
    for team, organization in TEAMS.items():
        truth = company.truth(organization, FIRST, LAST)
        assert company.seen(team) == truth
        assert any(project is None for _, project in truth), "spend without a project is part of it"
    named = company.raw("SELECT DISTINCT organization_id, organization_name FROM raw.costs")
    if wire.organization_id_on_wire:
        assert set(named) == {(DIGITAL, "Digital"), ("org-labs", "Labs")}
    else:
        assert named == [(None, None)]


def test_literals_that_only_a_script_can_write(scripted: Company, server: ScriptedServer) -> None:
    literals = {
        '"0E-6176"': Decimal(0),
        "0.130804383403075261234567890123456789012": Decimal("0.130804383403075261"),
        '"0.1"': Decimal("0.1"),
        "0.10": Decimal("0.1"),
        "-84.21": Decimal("-84.21"),
        "0.0000000000000000005": Decimal(0),
        '"0.0000000000000000015"': Decimal("0.000000000000000002"),
        "12345678901234567890.123456789012345678": Decimal(
            "12345678901234567890.123456789012345678"
        ),
    }
    rows = [row(f"@{number}@") for number in range(len(literals))]
    rows += [row(1, project_id=None, line_item=None, shade="blue"), {"object": "x"}]
    text = json.dumps(page(bucket(FIRST, *rows, tide="low"), bucket(SECOND)))
    for number, literal in enumerate(literals):
        text = text.replace(f'"@{number}@"', literal)
    server.play(Reply(status=403, body={"error": "no"}), Reply(text.encode()))

    collection = scripted.collect(FIRST, SECOND)

    assert collection.failed_teams == {}
    landed = scripted.raw("SELECT amount FROM raw.costs ORDER BY rowid")
    assert [amount for (amount,) in landed] == [*literals.values(), Decimal(1), None]
    # Python's sum() would round at 28 digits.
    exact = Decimal("12345678901234567807.244261172415420941")
    assert scripted.entries(
        "cost_date, status, row_count, cost, currency, unknown_fields, organization_id"
    ) == [
        (FIRST, "ok", len(rows), exact, "USD", "bucket.tide,result.shade", None),
        (SECOND, "ok", 0, Decimal(0), None, "bucket.tide", None),
    ]
    assert [bucket.costs for bucket in collection.buckets] == [(("USD", exact),), ()]


def test_every_column_lands_and_nothing_else(scripted: Company, server: ScriptedServer) -> None:
    full = row(
        "2.5",
        api_key_id="key_1",
        quantity=9007199254740993,
        quantity_unit="tokens",
        organization_id="org-a",
        organization_name="Ä GmbH",
        project_name="Search",
        user_id="user-1",
        user_email="someone@example.com",
    )
    server.play(Reply(status=403, body={"error": "no"}), Reply(page(bucket(FIRST, full))))
    scripted.collect(FIRST)
    (entry,) = scripted.entries("revision_id, organization_id, query_signature, run_id, endpoint")
    assert entry[1:] == ("org-a", "project_id,line_item,api_key_id", "a-run", "costs")
    assert scripted.raw("SELECT * EXCLUDE _dlt_load_id FROM raw.costs") == [
        (
            entry[0],
            "growth",
            FIRST,
            "org-a",
            "Ä GmbH",
            "proj_a",
            "Search",
            "key_1",
            "gpt-4o-2024-08-06, input",
            Decimal("2.5"),
            "USD",
            Decimal(9007199254740993),
            "tokens",
        )
    ]


def test_types_are_those_of_money(company: SimulatedCompany) -> None:
    company.collect(FIRST)
    types = dict(
        company.raw(
            "SELECT table_name || '.' || column_name, data_type FROM information_schema.columns "
            "WHERE table_schema = 'raw'"
        )
    )
    assert types["costs.amount"] == types["collections.cost"] == "DECIMAL(38,18)"
    assert types["costs.quantity"] == "DECIMAL(28,6)"
    assert types["costs.cost_date"] == types["collections.cost_date"] == "DATE"
    assert types["collections.collected_at"] == "TIMESTAMP WITH TIME ZONE"


def test_several_currencies_have_no_sum(scripted: Company, server: ScriptedServer) -> None:
    euro = row() | {"amount": {"value": 2, "currency": "eur"}}
    nameless = row() | {"amount": {"value": 4}}
    server.play(Reply(status=403, body={"error": "no"}), Reply(page(bucket(FIRST, euro, nameless))))
    (outcome,) = scripted.collect(FIRST).buckets
    assert dict(outcome.costs) == {"EUR": Decimal(2), "USD": Decimal(4)}
    assert scripted.entries("row_count, cost, currency") == [(2, None, None)]


def test_a_window_from_before_keys_says_what_it_was_grouped_by(
    make_company: Callable[[Scenario], SimulatedCompany],
) -> None:
    start = date(2025, 12, 4)
    company = make_company(three_teams(start=start))
    company.collect(start, date(2025, 12, 7), ["research"])
    assert company.seen("research") == company.truth("org-labs", start, date(2025, 12, 7))
    assert [signature for (signature,) in company.entries("query_signature")] == [
        "project_id,line_item",
        "project_id,line_item",
        "project_id,line_item,api_key_id",
        "project_id,line_item,api_key_id",
    ]


def test_project_names_land_once_and_again_when_they_change(company: SimulatedCompany) -> None:
    company.collect(FIRST, teams=["research"])
    company.collect(FIRST, teams=["research"])
    assert company.raw(
        "SELECT team_id, project_id, project_name, status FROM raw.openai_projects"
    ) == [("research", "proj_agents", "Agents", "active")]

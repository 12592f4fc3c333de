"""What people are told about the difference between bill and usage."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
import typer

from finops_pipeline.cli.reconcile import reconcile
from finops_pipeline.errors import UsageError
from tests.cli.conftest import Command, Outcome
from tests.cli.marts_fixtures import publish

RECONCILED = """
create table fct_reconciliation (
    cost_date date, team_id varchar, project_id varchar, organization_id varchar,
    openai_project_id varchar, currency varchar, costs_v1 decimal(38, 18),
    usage_v1 decimal(38, 18), difference decimal(38, 18), difference_ratio double, status varchar,
    reason varchar, non_token_cost decimal(38, 18), unpriced_cost decimal(38, 18),
    rate_difference decimal(38, 18), quantity_difference decimal(38, 18),
    unexplained decimal(38, 18), absolute_unexplained decimal(38, 18)
);
create table fct_reconciliation_parts (
    cost_date date, organization_id varchar, openai_project_id varchar, part varchar,
    cause varchar, item varchar, quantity decimal(28, 6), amount decimal(38, 18),
    absolute_amount decimal(38, 18)
);
insert into fct_reconciliation values
    ('2026-03-30', 'web', 'shop', 'org-1', 'proj_1', 'USD', 100, 80, 20, 0.2, 'discrepancy',
     'unexplained', 5, 0, -1, 0, 16, 18),
    ('2026-03-31', 'web', 'shop', 'org-1', 'proj_1', 'USD', 1000, 1000, 0, 0, 'matched', null,
     0, 0, 0, 0, 0, 0),
    ('2026-03-31', 'ml', 'train', 'org-1', 'proj_3', 'USD', 7, 7, 0, 0, 'pending', null,
     0, 0, 0, 0, 0, 0),
    ('2026-03-31', 'ml', 'train', 'org-1', 'proj_3', 'EUR', 3, null, null, null,
     'not_comparable', null, null, null, null, null, null, null),
    ('2026-02-01', 'ml', 'train', 'org-1', 'proj_3', 'USD', 9, 9, 0, 0, 'matched', null,
     0, 0, 0, 0, 0, 0);
insert into fct_reconciliation_parts values
    ('2026-03-30', 'org-1', 'proj_1', 'non_token_cost', 'non_token_cost',
     'Vector storage', 1, 5, 5),
    ('2026-03-30', 'org-1', 'proj_1', 'rate_difference', 'batch_rate',
     'batch | gpt-5, input', 9, -1, 1),
    ('2026-03-30', 'org-1', 'proj_1', 'unexplained', 'billed_without_usage',
     'gpt-5, output', 3, 17, 17),
    ('2026-03-30', 'org-1', 'proj_1', 'unexplained', 'used_without_bill',
     'gpt-5, input', -1, -1, 1);
"""


@pytest.fixture
def show(command: Command, data: Path) -> Command:
    published = publish(data / "marts.duckdb")
    published.chmod(0o644)
    with duckdb.connect(str(published)) as connection:
        connection.execute(RECONCILED)
    app = typer.Typer()
    app.command()(reconcile)

    def run(*arguments: str) -> Outcome:
        return command(app, *arguments)

    return run


def cells(table: str) -> list[list[str]]:
    return [
        [cell.strip() for cell in line.strip("│").split("│")]
        for line in table.splitlines()
        if line.startswith("│")
    ]


def test_projects_come_with_the_worst_first_and_then_the_way_from_bill_to_usage(
    show: Command,
) -> None:
    outcome = show()
    assert cells(outcome.stdout) == [
        ["web / shop", "1,100.00", "1,080.00", "18.00", "1/2 discrepancy"],
        ["ml / train", "7.00", "7.00", "0.00", "1/1 pending"],
        ["ml / train", "3.00 EUR", "—", "—", "1/1 not comparable"],
        ["Total in USD", "1,107.00", "1,087.00", "18.00", ""],
        ["2026-03-30", "web / shop", "100.00", "18.00", "billed without usage"],
        ["Billed (costs_v1)", "1,107.00"],
        ["Tools, storage and sessions", "-5.00"],
        ["Batch rate", "1.00"],
        ["Unexplained: billed without usage", "-17.00"],
        ["Unexplained: used without a bill", "1.00"],
        ["Used, at list price (usage_v1)", "1,087.00"],
    ]
    assert (
        "Billed in USD: 90.3% matched, 0.0% explained, 9.7% open or not settled." in outcome.stdout
    )
    assert "not explained: 1 of 1 days of projects" in outcome.stdout
    assert max(map(len, outcome.stdout.splitlines())) <= 80
    assert outcome.exit_code == 0


def test_a_team_and_its_days_alone(show: Command) -> None:
    outcome = show("--team", "ml", "--from", "2026-02-01", "--to", "2026-02-28")
    assert cells(outcome.stdout)[0] == ["ml / train", "9.00", "9.00", "0.00", "1/1 matched"]
    assert "team ml (USD)" in outcome.stdout
    assert "No settled day of a project is outside the tolerance" in outcome.stdout
    nothing = show("--from", "2026-01-01", "--to", "2026-01-02").stdout
    assert nothing.startswith("Nothing was billed or used from 2026-01-01 to 2026-01-02.")


def test_json_has_all_digits_and_the_steps_add_up(show: Command) -> None:
    answer = json.loads(show("--team", "web", "--json").stdout)
    (project,) = answer["projects"]
    assert answer["from"] == "2026-03-18"
    assert answer["to"] == "2026-03-31"
    assert project["unexplained"] == "16.000000000000000000"
    assert project["discrepancy_days"] == 1
    (worst,) = answer["worst"]
    assert (worst["cost_date"], worst["cause"], worst["item"]) == (
        *("2026-03-30", "billed_without_usage"),
        "gpt-5, output",
    )
    steps = sum(Decimal(step["amount"]) for step in answer["waterfall"])
    assert Decimal(project["costs_v1"]) + steps == Decimal(project["usage_v1"])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--team", "wbe"], "no team 'wbe'"),
        (["--from", "2026-13-01"], "--from"),
        (["--from", "2026-04-09"], "lies after the last day"),
    ],
)
def test_wrong_usage_is_told(show: Command, arguments: list[str], says: str) -> None:
    outcome = show(*arguments)
    assert isinstance(outcome.error, UsageError)
    assert says in str(outcome.error)
    assert outcome.exit_code == 2

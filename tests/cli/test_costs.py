"""What people and programs are told about money: exact, and honest about what is missing."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pytest

from finops_pipeline.cli import costs
from finops_pipeline.errors import FinopsError, UsageError
from tests.cli.conftest import Command, Outcome
from tests.cli.marts_fixtures import publish

AS_OF = "As of the build of 2026-04-01 06:30 UTC; newest complete day: 2026-03-31.\n"


@pytest.fixture
def published(data: Path) -> Path:
    return publish(data / "marts.duckdb")


@pytest.fixture
def show(command: Command, published: Path) -> Command:
    def run(*arguments: str) -> Outcome:
        return command(costs.app, *arguments)

    return run


def change(published: Path, sql: str) -> None:
    published.chmod(0o644)
    with duckdb.connect(str(published)) as connection:
        connection.execute(sql)


def cells(table: str) -> list[list[str]]:
    return [
        [cell.strip() for cell in line.strip("│").split("│")]
        for line in table.splitlines()
        if line.startswith("│")
    ]


def test_the_summary_names_teams_and_marks_what_is_provisional_or_missing(show: Command) -> None:
    outcome = show("summary")
    assert cells(outcome.stdout) == [
        ["ml", "ml", "—", "—", "—", "12,345,678.90", "EUR"],
        ["web", "Web shop", "0.003*", "1,234.75", "1,244.75", "—", "USD"],
        ["unallocated", "Unallocated", "-1.00", "-1.00", "-1.00", "0.00", "USD"],
    ]
    assert "yesterday (2026-03-31)" in outcome.stdout
    assert outcome.stdout.count("* Provisional:") == 1
    assert outcome.stdout.count("— A day of that period is missing") == 1
    assert outcome.stdout.endswith(AS_OF)
    assert outcome.stderr == ""


def test_the_summary_has_no_footnote_without_a_reason(show: Command) -> None:
    told = show("summary", "--team", "unallocated").stdout
    assert "Provisional" not in told
    assert "missing" not in told


def test_the_summary_in_json_is_exact_and_alone_on_standard_output(show: Command) -> None:
    outcome = show("summary", "--team", "web", "--json")
    assert json.loads(outcome.stdout) == [
        {
            "team_id": "web",
            "team_name": "Web shop",
            "currency": "USD",
            "as_of_date": "2026-03-31",
            "latest_complete_date": "2026-03-31",
            "yesterday": "0.003000000000000000",
            "yesterday_is_settled": False,
            "this_week": "1234.753000000000000000",
            "month_to_date": "1244.753000000000000000",
            "previous_month": None,
        }
    ]
    assert outcome.stderr == AS_OF


def test_days_are_shown_by_team_with_a_total_for_each_currency(show: Command) -> None:
    outcome = show("daily")
    assert "Costs from 2026-03-18 to 2026-03-31 (UTC)" in outcome.stdout
    assert cells(outcome.stdout) == [
        ["2026-03-30", "ml", "3.00", "EUR", ""],
        ["2026-03-30", "web", "1,234.75", "USD", ""],
        ["2026-03-31", "unallocated", "-1.00", "USD", "provisional"],
        ["2026-03-31", "web", "0.003", "USD", "provisional"],
        ["Total", "", "3.00", "EUR", ""],
        ["Total", "", "1,233.75", "USD", "provisional"],
    ]
    assert outcome.stdout.endswith(AS_OF)


def test_days_in_json_have_every_digit_and_no_total(show: Command) -> None:
    outcome = show("daily", "--from", "2026-03-30", "--to", "2026-03-30", "--team", "web", "--json")
    assert json.loads(outcome.stdout) == [
        {
            "cost_date": "2026-03-30",
            "team_id": "web",
            "currency": "USD",
            "cost": "1234.750000000000000001",
            "is_settled": True,
        }
    ]
    assert outcome.stderr == AS_OF


@pytest.mark.parametrize("arguments", [("--by", "project"), ("--project", "shop")])
def test_days_are_shown_by_project(show: Command, arguments: tuple[str, ...]) -> None:
    rows = json.loads(show("daily", *arguments, "--json").stdout)
    shop = [row for row in rows if row["project_id"] == "shop"]
    assert [(row["cost_date"], row["team_id"], row["cost"]) for row in shop] == [
        ("2026-03-30", "web", "1234.500000000000000001"),
        ("2026-03-31", "web", "0.003000000000000000"),
    ]
    assert (len(rows) == 2) == ("shop" in arguments)


def test_a_project_can_be_shown_as_part_of_its_team(show: Command) -> None:
    rows = json.loads(show("daily", "--project", "search", "--by", "team", "--json").stdout)
    assert [(row["team_id"], row["cost"]) for row in rows] == [("web", "0.250000000000000000")]


def test_both_days_are_included_and_the_first_defaults_to_two_weeks_back(show: Command) -> None:
    def days(*arguments: str) -> list[str]:
        rows = json.loads(show("daily", *arguments, "--json").stdout)
        return sorted({row["cost_date"] for row in rows})

    assert days("--from", "2026-03-01", "--to", "2026-03-30") == ["2026-03-01", "2026-03-30"]
    assert days("--from", "2026-03-31") == ["2026-03-31"]
    assert days("--to", "2026-03-14") == ["2026-03-01"]
    assert days("--to", "2026-03-15") == []


def test_no_costs_are_told_as_such(show: Command) -> None:
    outcome = show("daily", "--from", "2026-03-05", "--to", "2026-03-06")
    assert outcome.stdout == f"No costs from 2026-03-05 to 2026-03-06.\n{AS_OF}"
    assert show("daily", "--to", "2026-01-01", "--json").stdout == "[]\n"


def test_days_that_were_never_read_are_named(show: Command, published: Path) -> None:
    outcome = show("daily")
    assert outcome.stderr.startswith(
        "Warning: 2026-03-31 (ml) were never read successfully, so that these days can show too "
        "little; `finops run --from 2026-03-18 --to 2026-03-31`"
    )
    assert show("daily", "--to", "2026-03-30").stderr == ""

    change(
        published,
        "INSERT INTO rpt_collection_status (cost_date, team_id, endpoint, status) "
        "SELECT DATE '2026-03-20' + range::int, 'web', 'costs', 'missing' FROM range(5)",
    )
    assert "2026-03-22 (web), 3 more days were" in show("daily").stderr


def test_sums_keep_the_last_digit(show: Command, published: Path) -> None:
    """Python's decimals round sums at 28 digits unless told otherwise."""
    change(
        published,
        "UPDATE fct_project_daily_costs SET cost = 99999999999999.004999999999999999 "
        "WHERE project_id = 'shop' AND cost_date = '2026-03-30' AND organization_id = 'org-1'; "
        "UPDATE fct_project_daily_costs SET cost = 0.000000000000000001 "
        "WHERE cost_date = '2026-03-31' AND project_id = 'shop'",
    )
    table = cells(show("daily", "--project", "shop").stdout)
    # …005 exactly would round to the even …00, one more digit of 1e-18 to …01.
    assert table[-1] == ["Total", "", "", "99,999,999,999,999.01", "USD", "provisional"]


def test_before_the_first_complete_day_yesterday_is_the_last(
    show: Command, published: Path
) -> None:
    change(published, "UPDATE rpt_build SET newest_complete_date = NULL")
    outcome = show("daily")
    assert "Costs from 2026-03-18 to 2026-03-31" in outcome.stdout
    assert outcome.stdout.endswith("newest complete day: none.\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--from", "yesterday"), "--from 'yesterday' is not a date."),
        (("--to", "2026-02-30"), "--to '2026-02-30' is not a date."),
        (("--from", "2026-03-05", "--to", "2026-03-04"), "lies after --to 2026-03-04"),
        (("--from", "2026-04-01"), "lies after the newest complete day, 2026-03-31"),
        (("--team", "wed"), "know no team 'wed'. Did you mean web?"),
        (("--project", "shops"), "know no project 'shops'. Did you mean shop?"),
    ],
)
def test_a_wrong_request_is_told(show: Command, arguments: tuple[str, ...], said: str) -> None:
    outcome = show("daily", *arguments)
    assert isinstance(outcome.error, UsageError)
    assert said in str(outcome.error)
    assert outcome.stdout == ""


def test_an_unknown_team_has_no_summary(show: Command) -> None:
    assert isinstance(show("summary", "--team", "x").error, UsageError)


def test_a_name_cannot_steer_the_terminal(show: Command, published: Path) -> None:
    change(published, "UPDATE dim_teams SET team_name = chr(27) || '[2J' WHERE team_id = 'web'")
    assert "\x1b" not in show("summary").stdout


def test_nothing_published_is_told(command: Command) -> None:
    assert "`make demo`" in str(command(costs.app, "summary").error)


def test_a_file_of_another_version_is_told(show: Command, published: Path) -> None:
    change(published, "ALTER TABLE rpt_cost_summary RENAME month_to_date TO month")
    outcome = show("summary")
    assert type(outcome.error) is FinopsError
    assert "`finops build`" in str(outcome.error)
    assert "\n" not in str(outcome.error)

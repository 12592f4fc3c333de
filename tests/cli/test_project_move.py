"""`finops project move`: who owns what from when, and how much money that is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from finops_pipeline.cli import project, team
from tests.cli.marts_fixtures import publish

Command = Any


@pytest.fixture
def command(command: Command) -> Command:
    for name in ("web", "ml"):
        command(team.app, "add", name)
    command(
        project.app,
        *("add", "shop", "--team", "web", "--openai-project-id", "proj_1", "--no-validate"),
    )
    return command


def move(command: Command, day: str, *more: str, to: str = "ml") -> Any:
    return command(project.app, "move", "shop", "--team", to, "--effective", day, *more)


def test_a_project_moves(command: Command) -> None:
    assert move(command, "2026-03-30").stdout == (
        "Project shop belongs to team ml from 2026-03-30, no longer to team web. "
        "`finops build` brings it into the marts.\n"
    )
    assert json.loads(move(command, "2026-03-01", "--json", to="ml").stdout) == {
        "project_id": "shop",
        "openai_project_id": "proj_1",
        "from_team_id": "web",
        "to_team_id": "ml",
        "effective": "2026-03-01",
        "until": "2026-03-30",
    }
    [shop] = json.loads(command(project.app, "list", "--json").stdout)
    assert (shop["team_id"], shop["valid_from"]) == ("ml", "2026-03-01")


def test_a_dry_run_shows_the_money_of_each_month_and_moves_nothing(
    command: Command, data: Path
) -> None:
    publish(data / "marts.duckdb")
    before = command(project.app, "list", "--json").stdout
    outcome = move(command, "2026-03-30", "--dry-run")

    assert "Nothing is changed. With the move: Project shop belongs to team ml" in outcome.stdout
    assert "Money that would go to team ml" in outcome.stdout
    assert "1234.503" in outcome.stdout
    shown = json.loads(move(command, "2026-03-01", "--dry-run", "--json").stdout)
    assert shown["published"] is True
    assert shown["months"] == [
        {"month": "2026-03-01", "currency": "USD", "cost": "1244.503000000000000001"}
    ]
    assert command(project.app, "list", "--json").stdout == before


def test_only_the_days_until_the_next_move_count(command: Command, data: Path) -> None:
    publish(data / "marts.duckdb")
    command(team.app, "add", "data")
    move(command, "2026-03-31", to="data")
    shown = json.loads(move(command, "2026-03-30", "--dry-run", "--json").stdout)

    assert shown["until"] == "2026-03-31"
    assert [month["cost"] for month in shown["months"]] == ["1234.500000000000000000"]


def test_a_dry_run_without_figures_says_so(command: Command, data: Path) -> None:
    assert "No marts are published yet" in move(command, "2026-03-30", "--dry-run").stdout
    shown = json.loads(move(command, "2026-03-30", "--dry-run", "--json").stdout)
    assert (shown["published"], shown["months"]) == (False, [])
    publish(data / "marts.duckdb")
    assert "No published cost lies in these days" in move(command, "2026-05-01", "--dry-run").stdout


@pytest.mark.parametrize("more", [(), ("--dry-run",)])
@pytest.mark.parametrize(
    ("day", "to", "message"),
    [
        ("2026-03-01", "web", "'web' owns project 'shop' on 2026-03-01 already"),
        ("2026-03-01", "mll", "Did you mean 'ml'"),
        ("march", "ml", "--effective 'march' is not a date"),
    ],
)
def test_what_cannot_move_exits_with_2(
    command: Command, day: str, to: str, message: str, more: tuple[str, ...]
) -> None:
    outcome = move(command, day, *more, to=to)
    assert outcome.exit_code == 2
    assert message in str(outcome.error)
    assert outcome.stdout == ""

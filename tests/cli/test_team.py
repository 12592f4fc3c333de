"""`finops team` as a user sees it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from finops_pipeline.cli import team
from finops_pipeline.errors import UsageError

Command = Any


def test_teams_are_added_listed_and_changed(command: Command) -> None:
    assert command(team.app, "add", "company").stdout == "Team company is registered.\n"
    added = command(
        team.app,
        "add",
        "web",
        *("--name", "Web [bold]shop", "--parent-team", "company", "--cost-center", "CC-1"),
        *("--owner-email", "ann@example.com", "--budget-owner-email", "bob@example.com"),
        "--json",
    )
    web = json.loads(added.stdout)
    assert list(web) == [
        "team_id",
        "team_name",
        "parent_team_id",
        "owner_email",
        "budget_owner_email",
        "cost_center",
        "is_active",
        "created_at",
        "updated_at",
        "deactivated_at",
    ]
    assert web["team_name"] == "Web [bold]shop"
    assert web["created_at"].endswith("+00:00")

    assert json.loads(command(team.app, "list", "--json").stdout)[1] == web
    table = command(team.app, "list").stdout
    for text in ("Teams", "company", "Web [bold]shop", "ann@example.com", "CC-1"):
        assert text in table

    changed = json.loads(command(team.app, "set", "web", "--cost-center", "", "--json").stdout)
    assert changed["cost_center"] is None
    assert changed["owner_email"] == "ann@example.com"
    assert command(team.app, "deactivate", "web").stdout == "Team web is deactivated.\n"
    assert [row["is_active"] for row in json.loads(command(team.app, "list", "--json").stdout)] == [
        True,
        False,
    ]


def test_a_dated_change_is_said_and_leaves_today_as_it_is(command: Command) -> None:
    command(team.app, "add", "web", "--cost-center", "CC-1")
    arguments = ("set", "web", "--cost-center", "CC-2", "--effective", "9000-01-01")
    assert command(team.app, *arguments).stdout == "Team web is changed from 9000-01-01 on.\n"
    [listed] = json.loads(command(team.app, "list", "--json").stdout)
    assert listed["cost_center"] == "CC-1"


def test_no_team_is_an_empty_list(command: Command) -> None:
    assert command(team.app, "list", "--json").stdout == "[]\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("add", "web"), "'web' is already registered"),
        (("add", "Web"), "team id 'Web' is not usable"),
        (("add", "unallocated"), "is reserved"),
        (("add", "b", "--parent-team", "nobody"), "'nobody' is not registered"),
        (("set", "wep", "--name", "x"), "Did you mean 'web'"),
        (("set", "web"), "Nothing to change was given"),
        (("set", "web", "--parent-team", "web"), "its own ancestor"),
        (
            ("set", "web", "--name", "x", "--effective", "20260301"),
            "--effective '20260301' is not a date",
        ),
        (("deactivate", "nobody"), "'nobody' is not registered"),
    ],
)
def test_wrong_usage_exits_with_2_and_changes_nothing(
    command: Command, arguments: tuple[str, ...], message: str
) -> None:
    command(team.app, "add", "web")
    before = command(team.app, "list", "--json").stdout
    outcome = command(team.app, *arguments)

    assert outcome.exit_code == 2
    assert isinstance(outcome.error, UsageError)
    assert message in str(outcome.error)
    assert "\n" not in str(outcome.error)
    assert outcome.stdout == ""
    assert command(team.app, "list", "--json").stdout == before


def test_a_data_directory_that_cannot_be_written_exits_with_1(command: Command, data: Path) -> None:
    data.write_text("a file in its place")
    outcome = command(team.app, "add", "web")

    assert outcome.exit_code == 1
    assert f"The folder {data} cannot be written" in str(outcome.error)
    assert data.read_text() == "a file in its place"


def test_a_wrong_setting_exits_with_2(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINOPS_SETTLE_DAYS", "soon")
    outcome = command(team.app, "list")

    assert outcome.exit_code == 2
    assert "FINOPS_SETTLE_DAYS" in str(outcome.error)

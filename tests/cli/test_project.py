"""`finops project` as a user sees it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from finops_pipeline.cli import audit, project, team
from finops_pipeline.errors import UsageError

Command = Any
OPENAI_ID = "proj_abcdefghijklmnopqrstuvwx"


@pytest.fixture
def command(command: Command) -> Command:
    command(team.app, "add", "web")
    return command


def add(command: Command, *more: str, openai_id: str = OPENAI_ID) -> Any:
    return command(
        project.app,
        *("add", "search", "--team", "web", "--openai-project-id", openai_id, "--no-validate"),
        *more,
    )


def test_projects_are_added_listed_and_changed(command: Command) -> None:
    added = add(
        command,
        *("--name", "Search", "--environment", "production", "--owner-email", "ann@example.com"),
        *("--cost-center", "CC-2", "--tag", "tier=gold", "--tag", "note=a=b"),
        *("--valid-from", "2026-03-01", "--json"),
    )
    assert added.stderr == ""
    search = json.loads(added.stdout)
    assert search["tags"] == {"note": "a=b", "tier": "gold"}
    assert search["valid_from"] == "2026-03-01"
    assert search["team_id"] == "web"
    assert search["environment"] == "production"
    assert json.loads(command(project.app, "list", "--json").stdout) == [search]
    table = command(project.app, "list").stdout
    for text in ("Projects", "search", "web", OPENAI_ID, "2026-03-01"):
        assert text in table

    outcome = command(project.app, "set", "search", "--tag", "tier=", "--environment", "", "--json")
    changed = json.loads(outcome.stdout)
    assert changed["tags"] == {"note": "a=b"}
    assert changed["environment"] is None
    assert changed["cost_center"] == "CC-2"


def test_without_json_a_sentence_says_it(command: Command) -> None:
    assert add(command).stdout == "Project search is registered.\n"
    assert command(project.app, "set", "search", "--name", "S").stdout == (
        "Project search is changed.\n"
    )


def test_a_strange_openai_id_is_registered_with_a_warning(command: Command) -> None:
    outcome = add(command, "--json", openai_id="project-1")

    assert outcome.exit_code == 0
    assert outcome.stderr.startswith("Warning: project-1 does not look like")
    assert json.loads(outcome.stdout)["openai_project_id"] == "project-1"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--valid-from", "2026-13-01"), "--valid-from '2026-13-01' is not a date"),
        (("--valid-from", "20260301"), "--valid-from '20260301' is not a date"),
        (("--valid-from", "soon"), "--valid-from 'soon' is not a date"),
        (("--tag", "tier"), "has no '='"),
        (("--tag", "=gold"), "tag has no name"),
        (("--tag", "a=1", "--tag", "a=2"), "given twice"),
        (("--owner-email", "ann"), "is no mail address"),
        (("--team", "wep"), "Did you mean 'web'"),
        (("--openai-project-id", ""), "OpenAI project id '' is not usable"),
    ],
)
def test_wrong_usage_exits_with_2_and_registers_nothing(
    command: Command, arguments: tuple[str, ...], message: str
) -> None:
    outcome = add(command, *arguments)

    assert outcome.exit_code == 2
    assert isinstance(outcome.error, UsageError)
    assert message in str(outcome.error)
    assert outcome.stdout == ""
    assert command(project.app, "list", "--json").stdout == "[]\n"


def test_a_taken_openai_project_names_its_holder(command: Command) -> None:
    add(command)
    outcome = command(project.app, "add", "find", "--team", "web", "--openai-project-id", OPENAI_ID)
    assert outcome.exit_code == 2
    assert "already registered as project 'search' of team 'web'" in str(outcome.error)


def test_setting_nothing_or_nobody_is_wrong_usage(command: Command) -> None:
    add(command)
    assert "Nothing to change" in str(command(project.app, "set", "search").error)
    outcome = command(project.app, "set", "serch", "--name", "x")
    assert outcome.exit_code == 2
    assert "Did you mean 'search'" in str(outcome.error)


def test_a_dated_change_is_said_and_leaves_today_as_it_is(command: Command) -> None:
    add(command, "--cost-center", "CC-1")
    arguments = ("set", "search", "--cost-center", "CC-2", "--effective", "9000-01-01")
    assert command(project.app, *arguments).stdout == (
        "Project search is changed from 9000-01-01 on.\n"
    )
    [listed] = json.loads(command(project.app, "list", "--json").stdout)
    assert listed["cost_center"] == "CC-1"
    outcome = command(project.app, *arguments[:-1], "soon")
    assert outcome.exit_code == 2
    assert "--effective 'soon' is not a date" in str(outcome.error)


def test_for_whom_is_recorded_with_every_change(command: Command) -> None:
    ann = ("--on-behalf-of", "Ann Example")
    command(team.app, "add", "mobile", *ann)
    add(command, *ann)
    command(project.app, "set", "search", "--name", "S", *ann)
    move = ("move", "search", "--team", "mobile", "--effective", "2026-03-01")
    command(project.app, *move, *ann)
    command(team.app, "set", "web", "--name", "W", *ann)
    command(team.app, "deactivate", "web", *ann)

    entries = json.loads(command(audit.app, "--json").stdout)
    assert [(entry["action"], entry["on_behalf_of"]) for entry in entries] == [
        ("team.add", None),
        ("team.add", "Ann Example"),
        ("project.add", "Ann Example"),
        ("project.set", "Ann Example"),
        ("project.move", "Ann Example"),
        ("team.set", "Ann Example"),
        ("team.deactivate", "Ann Example"),
    ]
    assert entries[2]["after"]["validated"] is False

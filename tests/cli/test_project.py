"""`finops project` as a user sees it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from finops_pipeline.cli import project, team
from finops_pipeline.errors import UsageError

Command = Any
OPENAI_ID = "proj_abcdefghijklmnopqrstuvwx"


@pytest.fixture
def command(command: Command) -> Command:
    command(team.app, "add", "web")
    return command


def add(command: Command, *more: str, openai_id: str = OPENAI_ID) -> Any:
    return command(
        project.app, "add", "search", "--team", "web", "--openai-project-id", openai_id, *more
    )


def test_projects_are_added_listed_and_changed(command: Command) -> None:
    added = add(
        command,
        *("--name", "Search", "--environment", "production", "--owner-email", "ann@example.com"),
        *("--cost-center", "CC-2", "--tag", "tier=gold", "--tag", "note=a=b"),
        *("--valid-from", "2026-03-01", "--no-validate", "--json"),
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


def test_the_help_says_that_no_test_call_is_made(command: Command) -> None:
    text = " ".join(command(project.app, "add", "--help").stdout.replace("│", " ").split())
    assert "This version makes none in any case" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--valid-from", "2026-13-01"), "--valid-from is no date"),
        (("--valid-from", "20260301"), "--valid-from is no date"),
        (("--valid-from", "soon"), "--valid-from is no date"),
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
    assert "already registered as project 'search'" in str(outcome.error)


def test_setting_nothing_or_nobody_is_wrong_usage(command: Command) -> None:
    add(command)
    assert "Nothing to change" in str(command(project.app, "set", "search").error)
    outcome = command(project.app, "set", "serch", "--name", "x")
    assert outcome.exit_code == 2
    assert "Did you mean 'search'" in str(outcome.error)

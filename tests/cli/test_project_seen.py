"""`finops project add` and `validate` against OpenAI: what the team's key sees is what counts."""

from __future__ import annotations

import json
from typing import Any

import pytest

from finops_pipeline.cli import audit, key, project, team
from finops_pipeline.errors import UsageError
from finops_pipeline.simulator import SimulatedServer
from tests.cli.openai import COSTS_ONLY, IDLE, SECRET, SITE, STRANGER

Command = Any


@pytest.fixture
def command(command: Command, openai: SimulatedServer, monkeypatch: pytest.MonkeyPatch) -> Command:
    monkeypatch.setenv("FINOPS_OPENAI_BASE_URL", openai.base_url)
    command(team.app, "add", "web")
    return command


def give_key(command: Command, secret: str = SECRET) -> None:
    assert command(key.app, "register", "web", "--no-validate", stdin=secret).exit_code == 0


def add(command: Command, openai_id: str, *more: str) -> Any:
    arguments = ("add", "site", "--team", "web", "--openai-project-id", openai_id, *more)
    return command(project.app, *arguments)


def newest(command: Command) -> dict[str, Any]:
    entry: dict[str, Any] = json.loads(command(audit.app, "--json").stdout)[-1]
    return entry


def test_a_seen_project_is_registered_under_its_name_at_openai(command: Command) -> None:
    give_key(command)
    site = json.loads(add(command, SITE, "--json").stdout)

    assert (site["project_id"], site["project_name"]) == ("site", "Site")
    entry = newest(command)
    assert (entry["action"], entry["outcome"]) == ("project.add", "done")
    assert entry["after"]["validated"] is True


def test_a_given_name_wins(command: Command) -> None:
    give_key(command)
    assert json.loads(add(command, SITE, "--name", "Ours", "--json").stdout)["project_name"] == (
        "Ours"
    )


def test_a_key_that_may_not_list_shows_a_project_by_its_spend(command: Command) -> None:
    give_key(command, COSTS_ONLY)
    assert json.loads(add(command, SITE, "--json").stdout)["project_name"] == "site"


@pytest.mark.parametrize(
    ("secret", "openai_id", "message"),
    [
        (SECRET, "proj_elsewhere", "The key of team web cannot see the OpenAI project proj_else"),
        (STRANGER, SITE, f"The key of team web cannot see the OpenAI project {SITE}"),
        (IDLE, SITE, f"The key of team web cannot see the OpenAI project {SITE}"),
        (COSTS_ONLY, "proj_elsewhere", "It cannot be told whether the key of team web sees the"),
        ("sk-admin-bm9ib2R5LWtub3dzLXRoaXMta2V5LWF0LWFsbA", SITE, "web"),
    ],
)
def test_a_project_that_is_not_seen_is_refused_unless_told_not_to_look(
    command: Command, secret: str, openai_id: str, message: str
) -> None:
    give_key(command, secret)
    for outcome in (
        add(command, openai_id),
        command(project.app, "validate", openai_id, "--team", "web"),
    ):
        assert outcome.exit_code == 1
        assert message in str(outcome.error)
        assert secret[9:21] not in str(outcome.error)
        assert outcome.stdout == ""
    assert command(project.app, "list", "--json").stdout == "[]\n"
    entries = json.loads(command(audit.app, "--json").stdout)
    refused = [entry for entry in entries if entry["outcome"] == "refused"]
    assert [entry["action"] for entry in refused] == ["project.add"]

    assert add(command, openai_id, "--no-validate").exit_code == 0
    assert newest(command)["after"]["validated"] is False


def test_without_a_key_it_is_said_how_to_get_one(command: Command) -> None:
    outcome = add(command, SITE)

    assert outcome.exit_code == 2
    assert isinstance(outcome.error, UsageError)
    assert "Team 'web' has no active admin key" in outcome.error.message
    assert "`finops key register web`" in outcome.error.fix
    assert "--no-validate" in outcome.error.fix


def test_what_is_wrong_otherwise_is_said_before_openai_is_asked(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    give_key(command)
    add(command, SITE)
    monkeypatch.setenv("FINOPS_OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    outcome = add(command, SITE)
    assert outcome.exit_code == 2
    assert "'site' is already registered" in str(outcome.error)


def test_a_project_is_validated_by_its_id_at_openai(command: Command) -> None:
    give_key(command)
    assert command(project.app, "validate", SITE, "--team", "web").stdout == (
        f"The key of team web sees the OpenAI project {SITE} (Site).\n"
    )
    outcome = command(project.app, "validate", SITE, "--team", "web", "--json")
    assert json.loads(outcome.stdout) == {
        "openai_project_id": SITE,
        "team_id": "web",
        "visible": True,
        "name": "Site",
    }
    for arguments, message in (
        ((SITE, "--team", "wep"), "Did you mean 'web'"),
        (("proj 1", "--team", "web"), "OpenAI project id 'proj 1' is not usable"),
    ):
        outcome = command(project.app, "validate", *arguments)
        assert outcome.exit_code == 2
        assert message in str(outcome.error)

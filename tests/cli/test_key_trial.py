"""A key is tried out before it is stored: what is accepted, refused, told and recorded."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from finops_pipeline.cli import key, team
from finops_pipeline.openai_admin import OpenAIError
from finops_pipeline.openai_admin.transport import Transport
from finops_pipeline.registry import Registry, open_registry, validation
from finops_pipeline.registry.records import AuditEntry
from finops_pipeline.settings import load_settings
from finops_pipeline.simulator import SimulatedServer
from tests.cli.openai import (
    COSTS_ONLY,
    IDLE,
    LISTS_ONLY,
    OTHER,
    SECRET,
    SITE,
    STRANGER,
)

Command = Any
UNKNOWN = "sk-admin-VW5rbm93bktleUZvclRlc3RzMTIzNDU2Nzg5"


@pytest.fixture
def command(command: Command, openai: SimulatedServer, monkeypatch: pytest.MonkeyPatch) -> Command:
    openai.control.reset()
    monkeypatch.setenv("FINOPS_OPENAI_BASE_URL", openai.base_url)
    command(team.app, "add", "web")
    return command


def opened() -> Registry:
    return open_registry(load_settings())


def stored() -> str | None:
    with opened() as registry:
        active = registry.active_admin_key("web")
        return None if active is None else active.reveal()


def own_project() -> None:
    with opened() as registry:
        registry.add_project("site", team_id="web", openai_project_id=SITE)


def recorded(action: str) -> AuditEntry:
    with opened() as registry:
        return [entry for entry in registry.audit_entries("web") if entry.action == action][-1]


def refused(command: Command, name: str, given: str) -> OpenAIError:
    """Run a command that must fail and leave the active key as it was."""
    before = stored()
    outcome = command(key.app, name, "web", stdin=given)
    assert outcome.exit_code == 1
    assert isinstance(outcome.error, OpenAIError)
    assert "Nothing was stored" in outcome.error.message
    assert stored() == before
    entry = recorded(f"key.{name}")
    assert (entry.outcome, entry.detail) == ("refused", outcome.error.message)
    assert given[:20] not in str(outcome.error) + outcome.stderr
    return outcome.error


def test_a_key_shows_its_organization_and_scopes(command: Command) -> None:
    outcome = command(key.app, "register", "web", "--on-behalf-of", "Ada", stdin=SECRET)

    assert outcome.stderr == ""
    entry = recorded("key.register")
    assert (entry.outcome, entry.on_behalf_of) == ("done", "Ada")
    assert entry.after is not None
    assert json.loads(entry.after) == {
        "key_type": "admin",
        "last4": SECRET[-4:],
        "organization_id": "org-own",
        "scopes": ["api.usage.read", "api.management.read"],
        "validated": True,
        "wrapped_by": json.loads(entry.after)["wrapped_by"],
    }


def test_names_of_projects_are_optional(command: Command) -> None:
    outcome = command(key.app, "register", "web", stdin=COSTS_ONLY)

    assert outcome.exit_code == 0
    assert "with the scopes api.usage.read.\n" in outcome.stdout
    assert "api.management.read" in outcome.stderr


def test_without_validation_openai_is_not_asked(command: Command, openai: SimulatedServer) -> None:
    outcome = command(key.app, "register", "web", "--no-validate", stdin=UNKNOWN)

    assert outcome.exit_code == 0
    assert "It was not tried out." in outcome.stdout
    assert openai.control.requests() == []
    after = json.loads(recorded("key.register").after or "")
    assert (after["validated"], after["organization_id"], after["scopes"]) == (False, None, None)


@pytest.mark.parametrize(
    ("given", "reason", "fix"),
    [
        (UNKNOWN, "bad_key", "Copy an admin key whole"),
        (LISTS_ONLY, "missing_scope", "api.usage.read"),
        ("sk-proj-c29tZVByb2plY3RzS2V5", "missing_scope", "api.usage.read"),
    ],
)
def test_a_key_that_reads_no_costs_is_refused(
    command: Command, given: str, reason: str, fix: str
) -> None:
    error = refused(command, "register", given)
    assert error.reason == reason
    assert fix in error.fix


def test_an_api_that_cannot_be_reached_is_told_with_the_way_around(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(validation, "PATIENCE", replace(validation.PATIENCE, first_wait=0.001))
    monkeypatch.setenv("FINOPS_OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    error = refused(command, "register", SECRET)

    assert error.reason == "outage"
    assert "--no-validate" in error.fix


def test_the_first_key_of_an_idle_organization_is_stored_with_a_warning(command: Command) -> None:
    outcome = command(key.app, "register", "web", stdin=IDLE)

    assert outcome.exit_code == 0
    assert "no spend" in outcome.stderr
    assert "one that did not tell its id" in outcome.stdout
    assert stored() == IDLE


@pytest.mark.parametrize("again", ["rotate", "register"])
def test_a_key_of_another_organization_is_refused(command: Command, again: str) -> None:
    command(key.app, "register", "web", stdin=SECRET)
    if again == "register":
        command(key.app, "deactivate", "web")
    error = refused(command, again, STRANGER)

    assert error.reason == "wrong_organization"
    assert "org-strange" in error.message
    assert "org-own" in error.message


@pytest.mark.parametrize("given", [IDLE, STRANGER], ids=["idle", "busy"])
def test_a_key_that_shows_none_of_the_teams_projects_is_refused(
    command: Command, given: str
) -> None:
    own_project()
    error = refused(command, "register", given)

    assert error.reason == "wrong_organization"
    assert "none of its 1 registered OpenAI projects" in error.message


def test_a_silent_stranger_is_refused_by_the_organization_alone(command: Command) -> None:
    command(key.app, "register", "web", stdin=SECRET)
    error = refused(command, "rotate", IDLE)
    assert "shows it nothing of team 'web': no spend" in error.message


@pytest.mark.parametrize("given", [OTHER, COSTS_ONLY], ids=["every scope", "costs only"])
def test_a_new_key_of_the_same_organization_takes_the_old_ones_place(
    command: Command, given: str
) -> None:
    own_project()
    command(key.app, "register", "web", stdin=SECRET)
    outcome = command(key.app, "rotate", "web", stdin=given)

    assert outcome.exit_code == 0
    assert stored() == given
    before = json.loads(recorded("key.rotate").before or "")
    assert before["last4"] == SECRET[-4:]


def test_an_unproven_key_of_a_team_that_moved_can_be_forced(command: Command) -> None:
    command(key.app, "register", "web", stdin=SECRET)
    assert command(key.app, "rotate", "web", "--no-validate", stdin=STRANGER).exit_code == 0
    # What the newest key opens is not known now, so the next one is not held against the first.
    assert command(key.app, "rotate", "web", stdin=STRANGER).exit_code == 0


def test_the_organization_stays_known_while_it_spends_nothing(
    command: Command, openai: SimulatedServer
) -> None:
    own_project()
    command(key.app, "register", "web", stdin=SECRET)
    openai.control.set_clock(datetime(2026, 2, 1, 9, tzinfo=UTC))
    outcome = command(key.app, "rotate", "web", stdin=OTHER)

    assert "no spend" in outcome.stderr
    assert "It opens the organization org-own" in outcome.stdout


def test_a_project_key_is_stored_beside_the_teams_own(command: Command) -> None:
    own_project()
    command(key.app, "register", "web", stdin=SECRET)
    place = ("--type", "project", "--project", "site")
    project_key = "sk-proj-UHJvamVjdEtleU9mVGhlU2l0ZTEyMzQ1Njc4OTA"
    outcome = command(key.app, "register", "web", *place, stdin=project_key)

    assert outcome.stdout == (
        f"The project key of team web, project site, ending in {project_key[-4:]} is registered. "
        "It was not tried out.\n"
    )
    assert outcome.stderr == ""
    second = command(key.app, "register", "web", *place, stdin=project_key)
    assert "Project 'site' already has an active project key" in str(second.error)
    assert "finops key rotate web --type project --project site" in str(second.error)
    replaced = command(key.app, "rotate", "web", *place, stdin=OTHER)
    assert "does not look like OpenAI's project keys" in replaced.stderr

    shown = json.loads(command(key.app, "status", "web", "--type", "project", "--json").stdout)
    assert [(row["project_id"], row["last4"], row["is_active"]) for row in shown] == [
        ("site", OTHER[-4:], True),
        ("site", project_key[-4:], False),
    ]
    assert stored() == SECRET
    with opened() as registry:
        active = registry.active_project_key("site")
        assert active is not None
        assert active.reveal() == OTHER
    assert "is deactivated here" in command(key.app, "deactivate", "web", *place).stdout
    assert stored() == SECRET


def test_a_project_key_belongs_to_a_project_of_the_team(command: Command) -> None:
    own_project()
    command(team.app, "add", "mobile")
    for team_id, project_id, words in (
        ("mobile", "site", "belongs to team 'web' and not to 'mobile'"),
        ("web", "sight", "Did you mean 'site'"),
    ):
        for name in ("register", "rotate", "deactivate"):
            outcome = command(
                key.app, name, team_id, "--type", "project", "--project", project_id, stdin=OTHER
            )
            assert outcome.exit_code == 2
            assert words in str(outcome.error)


def test_a_key_replaced_meanwhile_is_not_replaced_again(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    command(key.app, "register", "web", stdin=SECRET)
    get = Transport.get
    others = iter([COSTS_ONLY])

    def overtaken(*arguments: Any, **named: Any) -> Any:
        for other in others:
            with opened() as registry:
                registry.rotate_key("web", other)
        return get(*arguments, **named)

    monkeypatch.setattr(Transport, "get", overtaken)
    outcome = command(key.app, "rotate", "web", stdin=OTHER)

    assert "was replaced by somebody else at the same moment" in str(outcome.error)
    assert stored() == COSTS_ONLY

"""`finops registry`: a reviewed file in and out, and the schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from alembic import command as alembic
from sqlalchemy import create_engine

from finops_pipeline.cli import audit, key, project, registry, team
from finops_pipeline.errors import UsageError
from finops_pipeline.registry.database import HEAD_REVISION, migration_config
from finops_pipeline.simulator import SimulatedServer
from tests.cli.openai import COSTS_ONLY, SECRET, SITE

Command = Any
FILE = f"""\
teams:
- team_id: web
  team_name: Web
projects:
- project_id: site
  openai_project_id: {SITE}
  project_name: site
  owners:
  - team_id: web
"""


@pytest.fixture
def command(command: Command, openai: SimulatedServer, monkeypatch: pytest.MonkeyPatch) -> Command:
    monkeypatch.setenv("FINOPS_OPENAI_BASE_URL", openai.base_url)
    return command


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "registry.yaml"
    path.write_text(FILE)
    return path


def test_a_file_is_planned_applied_and_then_nothing_is_left_to_do(
    command: Command, file: Path
) -> None:
    planned = command(registry.app, "apply", str(file), "--dry-run")
    assert "team.add" in planned.stdout
    assert "team_name: Web" in planned.stdout
    assert "2 changes would be made; nothing was changed." in planned.stdout
    assert command(team.app, "list", "--json").stdout == "[]\n"

    done = command(registry.app, "apply", str(file), "--on-behalf-of", "Ann")
    assert "Plan" in done.stdout
    assert "2 changes are made." in done.stdout
    assert "No key yet: web. Their new projects are registered unchecked" in done.stderr
    assert "`finops doctor`" in done.stderr
    entries = json.loads(command(audit.app, "--json").stdout)
    assert [(entry["action"], entry["on_behalf_of"]) for entry in entries] == [
        ("team.add", "Ann"),
        ("project.add", "Ann"),
    ]
    assert entries[1]["after"]["validated"] is False

    again = command(registry.app, "apply", str(file))
    assert again.stdout == "Everything is as the file says; nothing to change.\n"
    assert command(registry.app, "apply", str(file), "--json").stdout == "[]\n"


def test_json_is_the_list_of_changes(command: Command, file: Path) -> None:
    for more in ("--dry-run", "--no-validate"):
        changes = json.loads(command(registry.app, "apply", str(file), "--json", more).stdout)
        assert [change["action"] for change in changes] == ["team.add", "project.add"]
        assert changes[1]["after"]["owners"] == [{"team_id": "web", "valid_from": None}]


def test_an_export_is_the_file(command: Command, file: Path) -> None:
    command(registry.app, "apply", str(file))
    assert command(registry.app, "export").stdout == FILE


def test_new_projects_of_teams_with_a_key_are_seen_first(command: Command, file: Path) -> None:
    command(team.app, "add", "web")
    command(key.app, "register", "web", stdin=SECRET)
    outcome = command(registry.app, "apply", str(file))

    assert "Asking OpenAI about new projects of team web" in outcome.stderr
    entry = json.loads(command(audit.app, "--json").stdout)[-1]
    assert entry["after"]["validated"] is True


@pytest.mark.parametrize(
    ("secret", "message"),
    [
        (SECRET, "The key of team web cannot see the OpenAI project proj_nowhere"),
        (COSTS_ONLY, "It cannot be told whether the key of team web sees the OpenAI project"),
    ],
)
def test_one_project_that_is_not_seen_and_nothing_is_changed(
    command: Command, file: Path, secret: str, message: str
) -> None:
    command(team.app, "add", "web")
    command(key.app, "register", "web", stdin=secret)
    file.write_text(
        FILE
        + "- project_id: other\n  openai_project_id: proj_nowhere\n  owners: [{team_id: web}]\n"
    )
    outcome = command(registry.app, "apply", str(file))

    assert outcome.exit_code == 1
    assert message in str(outcome.error)
    assert SITE not in str(outcome.error)
    assert command(project.app, "list", "--json").stdout == "[]\n"
    assert command(registry.app, "apply", str(file), "--no-validate").exit_code == 0


def test_a_wrong_file_is_named_with_its_line(command: Command, file: Path) -> None:
    file.write_text(FILE.replace("team_name", "name"))
    outcome = command(registry.app, "apply", str(file))

    assert outcome.exit_code == 2
    assert isinstance(outcome.error, UsageError)
    assert f"In {file}: line 3 (team 'web', name)" in outcome.error.message
    missing = command(registry.app, "apply", str(file.with_name("nothing.yaml")))
    assert missing.exit_code == 1


def test_an_older_registry_is_refused_and_upgraded(command: Command, data: Path) -> None:
    data.mkdir()
    engine = create_engine(f"sqlite:///{data / 'registry.db'}")
    config = migration_config()
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        alembic.upgrade(config, "0001")
    engine.dispose()

    outcome = command(team.app, "list")
    assert outcome.exit_code == 1
    assert "`finops registry upgrade`" in str(outcome.error)
    assert command(registry.app, "upgrade").stdout == (
        f"The registry's schema went from 0001 to {HEAD_REVISION}.\n"
    )
    assert command(registry.app, "upgrade").stdout == (
        f"The registry has the newest schema already, {HEAD_REVISION}.\n"
    )
    assert command(team.app, "list", "--json").stdout == "[]\n"


def test_an_upgrade_makes_what_is_not_there(command: Command) -> None:
    assert json.loads(command(registry.app, "upgrade", "--json").stdout) == {
        "from_revision": None,
        "to_revision": HEAD_REVISION,
    }

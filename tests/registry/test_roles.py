"""The roles of deploy/postgresql: each can do its work with the real code, and nothing else."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import psycopg2.errors
import pytest
from pydantic import SecretStr

from finops_pipeline.doctor import Status, diagnose
from finops_pipeline.errors import FinopsError
from finops_pipeline.registry import Registry, open_registry
from finops_pipeline.settings import Settings
from tests.registry.postgresql import PASSWORD, PostgreSQL

SCRIPT = Path(__file__).parents[2] / "deploy" / "postgresql" / "roles.sql"
ROLES = ("administrator", "collector", "reader")

As = Callable[[str], Registry]


@pytest.fixture(scope="module")
def users(postgresql: PostgreSQL) -> PostgreSQL:
    """With a user in each role."""
    postgresql.run(SCRIPT.read_text(), database=postgresql.migrated())
    for role in ROLES:
        postgresql.run(
            f"CREATE ROLE secured_{role} LOGIN PASSWORD '{PASSWORD}' IN ROLE finops_{role}"
        )
    return postgresql


@pytest.fixture
def place(users: PostgreSQL) -> str:
    """A registry whose rights are given, twice."""
    name = users.migrated()
    for _ in range(2):
        users.run(SCRIPT.read_text(), database=name)
    return name


@pytest.fixture
def acting_as(users: PostgreSQL, place: str, settings: Settings) -> Iterator[As]:
    opened: list[Registry] = []

    def open_as(role: str) -> Registry:
        url = users.url(place, f"secured_{role}", PASSWORD)
        opened.append(open_registry(settings.model_copy(update={"registry_url": url})))
        return opened[-1]

    yield open_as
    for registry in opened:
        registry.close()


def fill(registry: Registry, key: str) -> None:
    registry.add_team("web")
    registry.add_team("mobile", parent_team_id="web")
    registry.register_key("web", key)
    registry.add_project("search", team_id="web", openai_project_id="proj_1")


def test_the_doctor_says_what_the_reader_may_not_and_goes_on(
    acting_as: As, users: PostgreSQL, place: str, settings: Settings, key: str
) -> None:
    fill(acting_as("administrator"), key)
    url = users.url(place, "secured_reader", PASSWORD)
    found = diagnose(lambda: settings.model_copy(update={"registry_url": url}))
    by_name = {check.name: check for check in found}
    assert by_name["keys_readable"].status is Status.FAIL
    assert "does not allow this to its database user" in by_name["keys_readable"].detail
    assert {"registry", "disk_space", "warehouse_writable"} <= by_name.keys()


def test_the_administrator_keeps_teams_projects_and_keys(
    acting_as: As, key: str, other_key: str
) -> None:
    registry = acting_as("administrator")
    fill(registry, key)
    registry.set_team("web", cost_center="CC-1", effective=date(2026, 3, 1))
    registry.set_project("search", tags={"tier": "gold"})
    registry.move_project("search", team_id="mobile", effective=date(2026, 3, 1))
    registry.rotate_key("web", other_key)
    registry.deactivate_key("web")
    registry.deactivate_team("web")
    with pytest.raises(FinopsError, match="already registered"):
        registry.add_team("web")

    entries = registry.audit_entries()
    assert (len(entries), entries[-1].outcome) == (11, "refused")
    assert registry.verify_audit().problems == ()


def test_the_collector_opens_keys_and_builds(acting_as: As, key: str) -> None:
    fill(acting_as("administrator"), key)
    registry = acting_as("collector")

    _, web = registry.collectable_teams(None)
    assert web.key is not None
    assert web.key.reveal() == key
    snapshot = registry.snapshot()
    assert (snapshot.teams.num_rows, snapshot.keys.num_rows) == (2, 1)
    newest = registry.audit_entries()[-1]
    assert (newest.action, newest.team_id) == ("key.decrypt", "web")
    assert registry.verify_audit().problems == ()


def test_the_reader_sees_everything_but_ciphertext(acting_as: As, key: str) -> None:
    fill(acting_as("administrator"), key)
    registry = acting_as("reader")

    assert [team.team_id for team in registry.list_teams()] == ["mobile", "web"]
    assert [project.project_id for project in registry.list_projects()] == ["search"]
    assert [status.last4 for status in registry.key_status("web")] == [key[-4:]]
    assert registry.snapshot().keys.num_rows == 1
    assert len(registry.audit_entries()) == 4
    assert registry.verify_audit().problems == ()
    assert registry.export_document().projects[0].project_id == "search"
    for refused in (
        lambda: registry.collectable_teams(None),
        lambda: registry.active_admin_key("web"),
    ):
        with pytest.raises(FinopsError, match="does not allow this to its database user"):
            refused()


@pytest.mark.parametrize("role", ["collector", "reader"])
def test_who_may_not_change_is_told_so(acting_as: As, role: str, key: str) -> None:
    fill(acting_as("administrator"), key)
    registry = acting_as(role)
    changes: list[Callable[[], object]] = [
        lambda: registry.add_team("data"),
        lambda: registry.set_team("web", cost_center="CC-1"),
        lambda: registry.deactivate_team("web"),
        lambda: registry.move_project("search", team_id="mobile", effective=date(2026, 3, 1)),
        lambda: registry.deactivate_key("web"),
    ]
    for change in changes:
        with pytest.raises(FinopsError, match="does not allow this to its database user") as error:
            change()
        assert "administrator" in error.value.fix
    assert len(registry.audit_entries()) == 4


EVERYBODY = {
    "UPDATE audit_log SET actor = 'x'",
    "DELETE FROM audit_log",
    "TRUNCATE audit_log",
    "ALTER TABLE audit_log DISABLE TRIGGER ALL",
    "DROP TRIGGER audit_log_append_only ON audit_log",
    "ALTER FUNCTION refuse_audit_change() RENAME TO accept_audit_change",
    "DELETE FROM audit_head",
    "INSERT INTO audit_head VALUES (2, 0, '')",
    "UPDATE alembic_version SET version_num = '0001'",
    "DELETE FROM teams",
    "DELETE FROM projects",
    "DELETE FROM api_keys",
    "CREATE TABLE public.other (x int)",
}
NO_CHANGES = {
    "INSERT INTO teams SELECT * FROM teams",
    "UPDATE teams SET is_active = TRUE",
    "UPDATE api_keys SET is_active = FALSE",
    "UPDATE api_keys SET api_host = 'elsewhere'",
    "INSERT INTO api_keys SELECT * FROM api_keys",
    "DELETE FROM team_attributes",
    "UPDATE project_attributes SET cost_center = 'x'",
    "DELETE FROM project_ownership",
    "UPDATE projects SET openai_project_id = 'x'",
}
NO_READING = {
    "SELECT encrypted_key FROM api_keys",
    "SELECT encrypted_data_key FROM api_keys",
    "SELECT iv FROM api_keys",
    "SELECT * FROM api_keys",
    "COPY api_keys TO STDOUT",
    "INSERT INTO audit_log SELECT * FROM audit_log",
    "UPDATE audit_head SET sequence = 0",
}


@pytest.mark.parametrize(
    ("role", "forbidden"),
    [
        ("administrator", EVERYBODY),
        ("collector", EVERYBODY | NO_CHANGES),
        ("reader", EVERYBODY | NO_CHANGES | NO_READING),
    ],
)
def test_the_server_refuses_what_a_role_may_not(
    users: PostgreSQL, place: str, role: str, forbidden: set[str]
) -> None:
    for role_name in ROLES:  # without passwords, for the statements below
        users.run(
            f"DO $$ BEGIN CREATE ROLE plain_{role_name} LOGIN IN ROLE finops_{role_name}; "
            "EXCEPTION WHEN duplicate_object THEN NULL; END $$"
        )
    for statement in sorted(forbidden):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            users.run(statement, database=place, user=f"plain_{role}")
    assert users.run("SELECT count(*) FROM teams", database=place, user=f"plain_{role}")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://secured_reader:{wrong}@/{database}?host={folder}",
        "postgresql+psycopg2://secured_reader:{wrong}@/no_such_database?host={folder}",
        "postgresql://secured_reader:{wrong}@/{database}?host=/nowhere",
        "postgresql://secured_reader:{wrong}@/{database}?host={folder}&no_such_option=1",
        "postgresql+psycopg://secured_reader:{wrong}@/{database}",
        "mysql://secured_reader:{wrong}@host/{database}",
    ],
)
def test_no_error_repeats_a_password(
    users: PostgreSQL, place: str, settings: Settings, url: str
) -> None:
    wrong = "hunter2-that-is-wrong"
    text = url.format(wrong=wrong, database=place, folder=users.folder)
    with pytest.raises(FinopsError) as error:
        open_registry(settings.model_copy(update={"registry_url": SecretStr(text)}))
    told = "".join(traceback.format_exception(error.value))
    assert "hunter2" not in told
    assert error.value.fix

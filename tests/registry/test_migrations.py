"""The schema: made by migrations that are run on purpose; it is as the models say."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine

from finops_pipeline.errors import FinopsError
from finops_pipeline.registry import Registry, database, open_registry
from finops_pipeline.registry.models import Base
from finops_pipeline.settings import Settings
from tests.registry.postgresql import PostgreSQL, on_both

SQL = Callable[..., list[tuple[Any, ...]]]


CONSTRAINTS = """
SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint
WHERE connamespace = 'public'::regnamespace AND conname !~ '^alembic' ORDER BY conname
"""
INDEXES = """
SELECT indexname, indexdef FROM pg_indexes
WHERE schemaname = 'public' AND indexname !~ '^alembic' ORDER BY indexname
"""


def test_the_head_is_the_newest_migration() -> None:
    script = ScriptDirectory.from_config(database.migration_config())
    assert script.get_heads() == [database.HEAD_REVISION]


@pytest.mark.usefixtures("registry")
def test_migrations_make_the_tables_of_the_models(settings: Settings, tmp_path: Path) -> None:
    migrated = create_engine(f"sqlite:///{settings.registry_path}")
    assert differences(migrated) == []

    # The comparison does not look at checks and conditions of indexes; their text does.
    created = create_engine(f"sqlite:///{tmp_path / 'created.db'}")
    Base.metadata.create_all(created)
    created.dispose()
    assert definitions(settings.registry_path) == definitions(tmp_path / "created.db")


def test_migrations_make_the_tables_of_the_models_on_postgresql(postgresql: PostgreSQL) -> None:
    made, created = postgresql.migrated(), postgresql.empty()
    engine = create_engine(postgresql.url(made).get_secret_value())
    assert differences(engine) == []

    engine = create_engine(postgresql.url(created).get_secret_value())
    Base.metadata.create_all(engine)
    engine.dispose()
    for query in (CONSTRAINTS, INDEXES):
        assert postgresql.run(query, database=made) == postgresql.run(query, database=created)


def differences(engine: Engine) -> list[Any]:
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        found: list[Any] = compare_metadata(context, Base.metadata)
    engine.dispose()
    return found


def definitions(path: Path) -> dict[str, list[str]]:
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute(
            "SELECT name, sql FROM sqlite_master "
            "WHERE sql IS NOT NULL AND name <> 'alembic_version' AND type <> 'trigger'"
        ).fetchall()
    return {
        name: sorted(line.strip().rstrip(",").replace('"', "") for line in text.splitlines())
        for name, text in rows
    }


CONTENT = """
INSERT INTO teams VALUES
    ('company', 'Company', NULL, NULL, NULL, NULL, TRUE, '{time}', '{time}', NULL);
INSERT INTO teams VALUES
    ('web', 'Web shop', 'company', 'ann@example.com', 'bob@example.com', 'CC-1', FALSE, '{time}',
     '{time}', '2026-02-01 00:00:00');
INSERT INTO projects VALUES
    ('search', 'Search', 'proj_1', 'production', 'eve@example.com', 'CC-2',
     '{{"tier": "größer"}}', TRUE, '{time}', '{time}');
INSERT INTO project_ownership VALUES (1, 'search', 'company', NULL, '2026-03-01');
INSERT INTO project_ownership VALUES (2, 'search', 'web', '2026-03-01', NULL);
INSERT INTO api_keys VALUES
    ('k', 'web', 'admin', NULL, 'openai', '1', '2', '3', 'abcd', 'f', 'host', 'org-1', 'local:0',
     TRUE, '{time}', '{time}', NULL)
""".format(time="2026-01-02 03:04:05")


@pytest.fixture
def old(settings: Settings, request: pytest.FixtureRequest) -> Settings:
    """A registry with the first schema that holds something."""
    if settings.registry_url is not None:
        server: PostgreSQL = request.getfixturevalue("postgresql")
        settings = settings.model_copy(update={"registry_url": server.url(server.empty())})
    else:
        settings.data_dir.mkdir()
    engine = create_engine(url_of(settings))
    config = database.migration_config()
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        for statement in CONTENT.split(";"):
            connection.exec_driver_sql(statement)
    engine.dispose()
    return settings


@on_both
def test_an_older_schema_is_refused_with_the_command_that_mends_it(old: Settings) -> None:
    with pytest.raises(FinopsError, match="has the schema 0001, and this version of") as error:
        open_registry(old)
    assert "backup" in error.value.fix
    assert "`finops registry upgrade`" in error.value.fix


@on_both
def test_an_upgrade_keeps_everything(old: Settings) -> None:
    assert upgrade(old) == "0001"
    assert upgrade(old) == database.HEAD_REVISION

    with open_registry(old) as registry:
        company, web = registry.list_teams()
        assert (company.team_name, company.parent_team_id, company.is_active) == (
            "Company",
            None,
            True,
        )
        assert (web.team_name, web.parent_team_id, web.owner_email) == (
            "Web shop",
            "company",
            "ann@example.com",
        )
        assert (web.budget_owner_email, web.cost_center) == ("bob@example.com", "CC-1")
        assert (web.is_active, str(web.created_at)) == (False, "2026-01-02 03:04:05+00:00")
        [project] = registry.list_projects()
        assert (project.project_name, project.openai_project_id) == ("Search", "proj_1")
        assert (project.environment, project.cost_center) == ("production", "CC-2")
        assert (project.owner_email, project.tags) == ("eve@example.com", {"tier": "größer"})
        assert (project.team_id, project.valid_from) == ("web", date(2026, 3, 1))
        [key] = registry.key_status("web")
        assert (key.last4, key.is_active, key.organization_id) == ("abcd", True, "org-1")
        history = registry.snapshot().team_attributes.to_pylist()
        assert [(row["valid_from"], row["valid_to"]) for row in history] == [(None, None)] * 2
        # Everything goes on from there.
        registry.set_team("company", cost_center="CC-9", effective=date(2026, 4, 1))
        registry.move_project("search", team_id="company", effective=date(2026, 4, 1))
        assert registry.verify_audit().entries == 2


@on_both
def test_an_upgrade_that_fails_leaves_the_old_schema_as_it_was(
    old: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = create_engine(url_of(old))
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE audit_head (in_the_way INTEGER)")
    with pytest.raises(FinopsError):
        upgrade(old)
    with engine.begin() as connection:
        names = connection.exec_driver_sql("SELECT team_name FROM teams ORDER BY 1").fetchall()
        assert [name for (name,) in names] == ["Company", "Web shop"]
        connection.exec_driver_sql("DROP TABLE audit_head")
    engine.dispose()
    assert upgrade(old) == "0001"


@on_both
def test_a_registry_of_a_newer_version_is_left_alone(
    settings: Settings, registry: Registry, sql: SQL
) -> None:
    registry.add_team("web")
    sql("UPDATE alembic_version SET version_num = '9999'")

    for opened in (open_registry, upgrade):
        with pytest.raises(FinopsError, match=r"newer version of finops \(schema 9999\)"):
            opened(settings)
    assert sql("SELECT team_id FROM teams") == [("web",)]


def test_an_empty_server_is_not_filled_by_the_way(
    settings: Settings, postgresql: PostgreSQL
) -> None:
    name = postgresql.empty()
    empty = settings.model_copy(update={"registry_url": postgresql.url(name)})
    with pytest.raises(FinopsError, match="has no tables yet") as error:
        open_registry(empty)
    assert "`finops registry upgrade`" in error.value.fix

    assert upgrade(empty) is None
    with open_registry(empty) as registry:
        assert registry.list_teams() == []


def test_the_tables_of_another_program_are_no_registry(settings: Settings) -> None:
    settings.data_dir.mkdir()
    with closing(sqlite3.connect(settings.registry_path)) as connection:
        connection.execute("CREATE TABLE notes (text)")
    with pytest.raises(FinopsError, match="has no tables yet"):
        open_registry(settings)


def url_of(settings: Settings) -> str:
    if settings.registry_url is not None:
        return settings.registry_url.get_secret_value()
    return f"sqlite:///{settings.registry_path}"


def upgrade(settings: Settings) -> str | None:
    opened = database.connect_database(settings)
    try:
        return opened.upgrade()
    finally:
        opened.close()

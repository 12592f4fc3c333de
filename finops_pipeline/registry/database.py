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
from finops_pipeline.settings import Settings

if TYPE_CHECKING:
    from alembic.config import Config

HEAD_REVISION = "0001"
"""The newest migration, kept here so that opening an up-to-date registry needs no Alembic."""

BUSY_TIMEOUT_SECONDS = 10.0

_WRITING = "finops_writing"
_MIGRATION_LOCK = 0x66696E6F7073
"""Any number that no other program on the same database locks: "finops" in ASCII."""


class Database:
    """An open registry database that is migrated to the head."""

    def __init__(self, engine: Engine, place: str) -> None:
        self._engine = engine
        self._writer = engine.execution_options(**{_WRITING: True})
        self._place = place

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """One transaction that only reads.

        Raises:
            FinopsError: the database does not answer or is not usable.
        """
        with self._in_words(), Session(self._engine) as session, session.begin():
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """One transaction that writes: all or nothing. SQLite lets one writer in at a time.

        Raises:
            FinopsError: as for :meth:`reading`, or another writer was first.
        """
        with self._in_words(), Session(self._writer) as session, session.begin():
            yield session

    def migrate(self) -> None:
        """Bring an older or new database to the head; nothing to do costs one query.

        Raises:
            FinopsError: it was written by a newer version of this program.
        """
        with self._in_words():
            with self._engine.connect() as connection:
                if _stored_revision(connection) == HEAD_REVISION:
                    return
            # Looked at again under a lock: another process may have migrated meanwhile. SQLite's
            # writers have it already, PostgreSQL's let each other in.
            with self._writer.begin() as connection:
                if connection.dialect.name == "postgresql":
                    connection.execute(text(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})"))
                if _stored_revision(connection) != HEAD_REVISION:
                    _upgrade(connection, self._place)

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
            raise _database_error(error, self._place) from error


def open_database(settings: Settings) -> Database:
    """Open the registry's database, creating and migrating it where needed.

    Raises:
        FinopsError: its folder cannot be written, or it cannot be opened.
        UsageError: the registry URL names no file or no installed driver.
    """
    if settings.registry_url is None:
        url = URL.create("sqlite", database=str(settings.registry_path))
    else:
        url = make_url(settings.registry_url.get_secret_value())
    is_sqlite = url.get_backend_name() == "sqlite"
    place = f"in {url.database}" if is_sqlite else f"on {url.host or 'this machine'}"
    arguments = {"timeout": BUSY_TIMEOUT_SECONDS} if is_sqlite else {}
    if is_sqlite:
        _create_file(_sqlite_path(url))
    try:
        engine = create_engine(url, hide_parameters=True, connect_args=arguments)
    except (ModuleNotFoundError, NoSuchModuleError):
        raise UsageError(
            f"The driver {url.drivername} of FINOPS_REGISTRY_URL is not installed.",
            "Install it; for PostgreSQL write the URL as postgresql+psycopg2://…",
        ) from None
    if is_sqlite:
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    database = Database(engine, place)
    try:
        database.migrate()
    except BaseException:
        database.close()
        raise
    return database


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
    connection.execute("PRAGMA foreign_keys = ON")


def _begin_sqlite(connection: Connection) -> None:
    # A writer takes the lock before it reads. Two that read first and then both want to write
    # would be refused at once, whatever the busy timeout.
    writing = connection.get_execution_options().get(_WRITING, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


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


def _upgrade(connection: Connection, place: str) -> None:
    from alembic import command
    from alembic.script import ScriptDirectory

    config = migration_config()
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    stored = _stored_revision(connection)
    if stored is not None and stored not in known:
        raise FinopsError(
            f"The registry {place} was written by a newer version of finops (schema {stored}).",
            "Update this installation.",
        )
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _database_error(error: DBAPIError, place: str) -> FinopsError:
    code = getattr(error.orig, "sqlite_errorname", "")
    if code.startswith("SQLITE_BUSY"):
        return FinopsError(
            f"The registry {place} has been held by another process for {BUSY_TIMEOUT_SECONDS:g} "
            "seconds.",
            "Run the command again when that process is done.",
        )
    if code.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
        return FinopsError(
            f"The registry {place} cannot be written.",
            "Make the file and its folder writable for this user.",
        )
    if code.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
        return FinopsError(
            f"The registry {place} is no SQLite database, or is damaged.",
            "Restore it from a backup, or move it away to begin with an empty registry.",
        )
    if code.startswith("SQLITE_FULL"):
        return FinopsError(
            f"There is no space left to write the registry {place}.", "Free some disk space."
        )
    return FinopsError(
        f"The registry {place} does not answer as expected ({type(error.orig).__name__}).",
        "Check that FINOPS_REGISTRY_URL or FINOPS_DATA_DIR points at it and that it is up.",
    )

"""A real registry and its settings: in a SQLite file, or also on a PostgreSQL server."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url

from finops_pipeline.registry import Registry, open_registry
from finops_pipeline.settings import Settings
from tests.registry.postgresql import PostgreSQL, running_server

KEY = "sk-admin-Zm9vYmFyQmF6UXV4MDEyMzQ1Njc4OWFiY2RlZg"
OTHER_KEY = "sk-admin-T3RoZXJLZXlGb3JUZXN0c09ubHlYWVowOTg3NjU0"


@pytest.fixture
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """In a SQLite file, unless a test is marked with ``on_both``."""
    settings = Settings(
        _env_file=None,
        data_dir=tmp_path / "data",
        key_file=tmp_path / "config" / "key",
        openai_base_url="https://api.openai.com/v1",
        registry_url=None,
    )
    if getattr(request, "param", "sqlite") == "sqlite":
        return settings
    server: PostgreSQL = request.getfixturevalue("postgresql")
    return settings.model_copy(update={"registry_url": server.url(server.migrated())})


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    with running_server() as server:
        yield server


@pytest.fixture
def registry(settings: Settings) -> Iterator[Registry]:
    with open_registry(settings) as registry:
        yield registry


@pytest.fixture
def key() -> str:
    return KEY


@pytest.fixture
def other_key() -> str:
    return OTHER_KEY


@pytest.fixture
def sql(settings: Settings, request: pytest.FixtureRequest) -> Callable[..., list[tuple[Any, ...]]]:
    """Runs a statement on the registry's database behind the registry's back."""
    if settings.registry_url is not None:
        server: PostgreSQL = request.getfixturevalue("postgresql")
        database = make_url(settings.registry_url.get_secret_value()).database
        assert database is not None
        return partial(server.run, database=database)

    def run(statement: str, *values: object) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(settings.registry_path)) as connection, connection:
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA synchronous = OFF")
            return connection.execute(statement, values).fetchall()

    return run

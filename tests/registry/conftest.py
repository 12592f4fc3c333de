"""A real registry in a SQLite file, and its settings."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from finops_pipeline.registry import Registry, open_registry
from finops_pipeline.settings import Settings

KEY = "sk-admin-Zm9vYmFyQmF6UXV4MDEyMzQ1Njc4OWFiY2RlZg"
OTHER_KEY = "sk-admin-T3RoZXJLZXlGb3JUZXN0c09ubHlYWVowOTg3NjU0"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        _env_file=None,
        data_dir=tmp_path / "data",
        key_file=tmp_path / "config" / "key",
        openai_base_url="https://api.openai.com/v1",
        registry_url=None,
    )


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
def sql(settings: Settings) -> Callable[..., list[tuple[Any, ...]]]:
    """Runs a statement on the registry's file behind the registry's back."""

    def run(statement: str, *values: object) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(settings.registry_path)) as connection, connection:
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA synchronous = OFF")
            return connection.execute(statement, values).fetchall()

    return run

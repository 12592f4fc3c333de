"""The registry: teams, projects and keys in one database."""

from __future__ import annotations

from typing import Self

from finops_pipeline.registry.database import Database, open_database
from finops_pipeline.registry.envelope import KeyWrapper, api_host
from finops_pipeline.registry.key_file import LocalKeyFile
from finops_pipeline.registry.keys import Keys
from finops_pipeline.registry.projects import Projects
from finops_pipeline.registry.records import RegistrySnapshot
from finops_pipeline.registry.snapshot import take_snapshot
from finops_pipeline.registry.teams import Teams
from finops_pipeline.settings import Settings


class Registry(Teams, Projects, Keys):
    """Every method is one transaction; usable from several threads and processes at once.

    A context manager: leaving it closes the database. Keys handed out stay usable.
    """

    def __init__(self, database: Database, wrapper: KeyWrapper, host: str) -> None:
        self._database = database
        self._wrapper = wrapper
        self._api_host = host

    def snapshot(self) -> RegistrySnapshot:
        """The registry as it is now, as Arrow tables without key material."""
        with self._database.reading() as session:
            return take_snapshot(session)

    def close(self) -> None:
        """Close the database's connections."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_registry(settings: Settings) -> Registry:
    """Open the registry that the settings name, creating and migrating it where needed.

    Raises:
        FinopsError: its folder cannot be written, or the database does not answer, is damaged or
            is newer than this program.
        UsageError: the registry URL is not usable.
    """
    return Registry(
        open_database(settings),
        LocalKeyFile(settings.key_file),
        api_host(settings.openai_base_url),
    )

"""The registry: teams, projects and keys in one database."""

from __future__ import annotations

from threading import Lock
from typing import Self

from finops_pipeline.registry import rules
from finops_pipeline.registry.apply import Documents
from finops_pipeline.registry.database import Database, open_database
from finops_pipeline.registry.envelope import KeyWrapper, api_host
from finops_pipeline.registry.key_changes import KeyChanges
from finops_pipeline.registry.moves import Moves
from finops_pipeline.registry.projects import Projects
from finops_pipeline.registry.pseudonyms import UserPseudonyms
from finops_pipeline.registry.records import Actor, RegistrySnapshot
from finops_pipeline.registry.snapshot import take_snapshot
from finops_pipeline.registry.teams import Teams
from finops_pipeline.registry.wrappers import Wrappers
from finops_pipeline.settings import Settings


class Registry(Teams, Projects, Moves, KeyChanges, Documents, UserPseudonyms):
    """Every change is one transaction; usable from several threads and processes at once.

    A context manager: leaving it closes the database and forgets every data key.
    """

    def __init__(self, database: Database, wrapper: KeyWrapper, host: str, actor: Actor) -> None:
        self._database = database
        self._wrapper = wrapper
        self._api_host = host
        self._actor = actor
        self._recording = Lock()

    def snapshot(self) -> RegistrySnapshot:
        """The registry as it is now, as Arrow tables without key material."""
        with self._database.reading() as session:
            return take_snapshot(session)

    def close(self) -> None:
        """Forget every data key and close the connections."""
        self._wrapper.close()
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_registry(
    settings: Settings, *, on_behalf_of: str | None = None, run_id: str | None = None
) -> Registry:
    """Open the registry that the settings name; a SQLite file is created where there is none.

    Args:
        on_behalf_of: For whom the operating-system user acts; recorded beside that user.
        run_id: The run that opens it, recorded with each key that it decrypts.

    Raises:
        FinopsError: its folder cannot be written, or the database does not answer, is damaged or
            has another schema than this program's.
        UsageError: the registry URL is not usable.
    """
    return Registry(
        open_database(settings),
        Wrappers.from_settings(settings),
        api_host(settings.openai_base_url),
        Actor(on_behalf_of=rules.attribute(on_behalf_of, "name"), run_id=run_id),
    )

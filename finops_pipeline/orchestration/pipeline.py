"""What every asset works with.

Assets close over one :class:`Pipeline` instead of taking Dagster resources, because a resource's
fields can be changed by anyone who may open the launchpad: a key could be sent to another host,
or another program started in dbt's place. A run chooses days, teams and endpoints alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from finops_pipeline.ingestion.collect import OnProgress
from finops_pipeline.ingestion.legacy import LegacyClientFactory
from finops_pipeline.ingestion.outcome import Collection
from finops_pipeline.ingestion.reading import ClientFactory
from finops_pipeline.ingestion.request_outcome import RequestLanding
from finops_pipeline.ingestion.request_reading import OnProgress as OnRequestProgress
from finops_pipeline.openai_admin import AdminClient, LegacyClient, Pacer
from finops_pipeline.registry import ProjectKey, Registry, open_registry
from finops_pipeline.settings import Settings
from finops_pipeline.warehouse.dbt import Dbt
from finops_pipeline.warehouse.warehouse import Warehouse


class OpenRegistry(Protocol):
    """Opens the registry, for a run where one is named."""

    def __call__(self, run_id: str | None = None) -> Registry: ...


@dataclass(frozen=True)
class Pipeline:
    """The parts of the pipeline that the assets use; tests replace single ones.

    Attributes:
        open_registry: Called by each run, so that loading the definitions needs no registry.
        on_collect: Told how far a collection is.
        on_collected: Given the result of each collection.
        request_files: Lists the files of request logs that a run lands; None: those that wait in
            the watched folder.
        on_requests: Told how far a landing of request logs is.
        on_requests_landed: Given the result of each.
        on_node: Told the name of each dbt model or test as it finishes.
        now: The clock of schedules and sensors (UTC).
    """

    settings: Settings
    warehouse: Warehouse
    dbt: Dbt
    open_registry: OpenRegistry
    make_client: ClientFactory
    make_legacy_client: LegacyClientFactory
    on_collect: OnProgress = field(default=lambda _: None)
    on_collected: Callable[[Collection], None] = field(default=lambda _: None)
    request_files: Callable[[], Sequence[Path]] | None = None
    on_requests: OnRequestProgress = field(default=lambda _: None)
    on_requests_landed: Callable[[RequestLanding], None] = field(default=lambda _: None)
    on_node: Callable[[str], None] = field(default=lambda _: None)
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))

    @classmethod
    def from_settings(cls, settings: Settings) -> Pipeline:
        """The pipeline as production runs it. Opens nothing."""
        warehouse = Warehouse.from_settings(settings)

        def make_client(team_id: str, api_key: Callable[[], str]) -> AdminClient:
            return AdminClient(team_id=team_id, base_url=settings.openai_base_url, api_key=api_key)

        def make_legacy_client(
            team_id: str, key: ProjectKey, api_key: Callable[[], str]
        ) -> LegacyClient:
            return LegacyClient(
                team_id=team_id,
                project_id=key.project_id,
                openai_project_id=key.openai_project_id,
                base_url=settings.openai_base_url,
                api_key=api_key,
                pacer=Pacer(),
            )

        return cls(
            settings=settings,
            warehouse=warehouse,
            dbt=Dbt(warehouse),
            open_registry=lambda run_id=None: open_registry(settings, run_id=run_id),
            make_client=make_client,
            make_legacy_client=make_legacy_client,
        )

"""The pipeline's own collection, as its jobs call it, into a fresh data directory."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from benchmarks.contenders.task import ReadBack, Task, from_database
from finops_pipeline.ingestion.collect import collect as collect_from_openai
from finops_pipeline.ingestion.endpoints import COSTS_ENDPOINT
from finops_pipeline.ingestion.outcome import Collection
from finops_pipeline.openai_admin import AdminClient
from finops_pipeline.registry import CollectableTeam
from finops_pipeline.registry.records import TeamKey
from finops_pipeline.settings import ExplicitSettings
from finops_pipeline.warehouse import Warehouse


def collect(task: Task, folder: Path) -> ReadBack:
    """The whole range of all teams, with the default settings."""
    warehouse = Warehouse.from_settings(ExplicitSettings(data_dir=folder))
    collect_into(warehouse, task)
    return from_database(warehouse.path, "raw.costs")


def collect_into(warehouse: Warehouse, task: Task) -> Collection:
    """Collect all costs, or raise; the other contenders know no usage."""

    def make_client(team_id: str, api_key: Callable[[], str]) -> AdminClient:
        return AdminClient(team_id=team_id, base_url=task.base_url, api_key=api_key)

    collection = collect_from_openai(
        warehouse=warehouse,
        teams=[_team(team_id, key) for team_id, key in task.keys.items()],
        registry=_NoRegistry(),
        make_client=make_client,
        start=task.start,
        end=task.end - timedelta(days=1),
        run_id="benchmark",
        concurrency=ExplicitSettings().max_concurrent_teams,
        endpoints=[COSTS_ENDPOINT],
    )
    if collection.failed_teams:
        raise RuntimeError(f"not everything was collected: {collection.failed_teams}")
    return collection


def _team(team_id: str, key: str) -> CollectableTeam:
    return CollectableTeam(team_id, TeamKey(f"key-{team_id}", f"of-{team_id}", None, lambda: key))


class _NoRegistry:
    """Keys are not rotated, and costs name no users."""

    def active_admin_key(self, team_id: str) -> TeamKey | None:
        del team_id
        return None

    def pseudonym_key(self) -> bytes:
        raise NotImplementedError

    def erased_users(self) -> frozenset[str]:
        return frozenset()

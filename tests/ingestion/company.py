"""A simulated company and a data directory of its own; collections run without Dagster."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from finops_pipeline.ingestion.collect import OnProgress, collect
from finops_pipeline.ingestion.endpoints import COSTS_ENDPOINT, BucketEndpoint
from finops_pipeline.ingestion.outcome import Collection
from finops_pipeline.ingestion.reading import ClientFactory
from finops_pipeline.openai_admin import AdminClient, RetryPolicy
from finops_pipeline.registry import Registry, open_registry
from finops_pipeline.settings import ExplicitSettings
from finops_pipeline.simulator import Scenario, SimulatedServer
from finops_pipeline.simulator.model import (
    Registration,
    RestrictedKey,
    SimulatedOrganization,
    SimulatedProject,
    SuggestedProject,
    SuggestedTeam,
)
from finops_pipeline.warehouse import Warehouse

IMPATIENT = RetryPolicy(attempts=2, total=5.0, first_wait=0.001, max_wait=0.002, jitter=0.0)
FIRST = date(2026, 1, 1)
NOW = datetime(2026, 1, 15, 9, tzinfo=UTC)
DIGITAL, LABS = "org-digital", "org-labs"
TEAMS = {"search": DIGITAL, "support": DIGITAL, "research": LABS}

CURRENT_ROWS = """
WITH complete AS (SELECT load_id FROM raw._dlt_loads WHERE status = 0),
newest AS (
  SELECT * FROM raw.collections
  WHERE endpoint = 'costs' AND status = 'ok' AND _dlt_load_id IN (SELECT load_id FROM complete)
  QUALIFY row_number() OVER (PARTITION BY team_id, cost_date ORDER BY collected_at DESC) = 1
)
SELECT newest.team_id, newest.cost_date, costs.project_id, sum(costs.amount)
FROM newest INNER JOIN raw.costs USING (revision_id)
WHERE costs._dlt_load_id IN (SELECT load_id FROM complete)
GROUP BY ALL
"""

Totals = dict[tuple[date, str | None], Decimal]


def admin_key(name: str) -> str:
    return f"sk-admin-{name}-{hashlib.sha256(name.encode()).hexdigest()[:24]}"


def three_teams(**changes: Any) -> Scenario:
    """Two teams with keys of one organization, one with a key of another.

    Both organizations have spend without a project, of amounts with more than 18 decimals.
    """
    digital = SimulatedOrganization(
        id=DIGITAL,
        name="Digital",
        admin_keys=[admin_key("search"), admin_key("support"), admin_key("search-rotated")],
        restricted_keys=(
            RestrictedKey(key=admin_key("lists-only"), scopes=("api.management.read",)),
            RestrictedKey(key=admin_key("costs-only"), scopes=("api.usage.read",)),
        ),
        projects=(
            SimulatedProject(id="proj_ranking", uses=("gpt-4o-mini-2024-07-18",), api_keys=2),
            SimulatedProject(id="proj_triage", uses=("web search tool calls",)),
        ),
        organization_uses=("Vector storage",),
    )
    labs = SimulatedOrganization(
        id=LABS,
        name="Labs",
        admin_keys=[admin_key("research")],
        projects=(SimulatedProject(id="proj_agents", name="Agents", uses=("o3-2025-04-16",)),),
        organization_uses=("Vector storage",),
    )
    owners = {"ranking": "search", "triage": "support", "agents": "research"}
    registration = Registration(
        teams=tuple(
            SuggestedTeam(
                team_id=team,
                name=team.title(),
                cost_center="CC-1",
                owner_email=f"{team}@acme.example",
                admin_key=admin_key(team),
            )
            for team in TEAMS
        ),
        projects=tuple(
            SuggestedProject(
                project_id=project,
                name=project.title(),
                team_id=team,
                openai_project_id=f"proj_{project}",
            )
            for project, team in owners.items()
        ),
    )
    parts = {
        "start": FIRST,
        "now": NOW,
        "organizations": (digital, labs),
        "registration": registration,
    }
    return Scenario(**(parts | changes))


@dataclass
class Company:
    """Teams with their keys, and the warehouse that their costs land in."""

    settings: ExplicitSettings
    warehouse: Warehouse
    registry: Registry

    def client(self, team_id: str, api_key: Callable[[], str]) -> AdminClient:
        return AdminClient(
            team_id=team_id,
            base_url=self.settings.openai_base_url,
            api_key=api_key,
            retry=IMPATIENT,
        )

    def register(self, team_id: str, key: str | None = None) -> None:
        self.registry.add_team(team_id)
        if key is not None:
            self.registry.register_key(team_id, key)

    def collect(
        self,
        start: date,
        end: date | None = None,
        teams: Sequence[str] = (),
        *,
        endpoints: Sequence[BucketEndpoint] = (COSTS_ENDPOINT,),
        resumed_runs: Sequence[str] = (),
        make_client: ClientFactory | None = None,
        on_progress: OnProgress = lambda _: None,
    ) -> Collection:
        """Collect from ``start`` to ``end``, both inclusive; one day unless ``end`` is given."""
        return collect(
            warehouse=self.warehouse,
            teams=self.registry.collectable_teams(teams or None),
            registry=self.registry,
            make_client=make_client or self.client,
            start=start,
            end=end or start,
            run_id="a-run",
            concurrency=3,
            endpoints=endpoints,
            resumed_runs=resumed_runs,
            on_progress=on_progress,
        )

    def raw(self, sql: str, **parameters: object) -> list[tuple[Any, ...]]:
        with self.warehouse.connect() as connection:
            return connection.execute(sql, parameters).fetchall()

    def count(self, table: str) -> int:
        ((count,),) = self.raw(f"SELECT count(*) FROM raw.{table}")
        return int(count)

    def entries(self, columns: str, where: str = "true") -> list[tuple[Any, ...]]:
        """Ledger entries, by team, day and time of reading."""
        return self.raw(
            f"SELECT {columns} FROM raw.collections WHERE {where} "
            "ORDER BY team_id, cost_date, collected_at"
        )

    def seen(self, team_id: str) -> Totals:
        """What the newest readings of a team's key say, by day and OpenAI project."""
        return self.seen_by_all().get(team_id, {})

    def seen_by_all(self) -> dict[str, Totals]:
        """The same for each team."""
        found: dict[str, Totals] = {}
        for team, day, project, amount in self.raw(CURRENT_ROWS):
            found.setdefault(team, {})[day, project] = amount
        return found


@dataclass
class SimulatedCompany(Company):
    """A company whose OpenAI is simulated."""

    server: SimulatedServer

    def truth(self, organization: str, start: date, end: date | None = None) -> Totals:
        """What an organization was billed from ``start`` to ``end``, both inclusive."""
        until = (end or start) + timedelta(days=1)
        return {
            (total.day, total.project_id): total.amount
            for total in self.server.control.totals(organization, start, until)
        }


@contextmanager
def opened_company(
    folder: Path, base_url: str, empty_warehouse: Path, *, kind: type[Company], **more: Any
) -> Iterator[Any]:
    """A company whose raw tables exist already, which spares each test a load."""
    settings = ExplicitSettings(
        data_dir=folder / "data", key_file=folder / "key" / "key", openai_base_url=base_url
    )
    settings.data_dir.mkdir(parents=True)
    shutil.copyfile(empty_warehouse, settings.warehouse_path)
    warehouse = Warehouse(
        settings.data_dir, memory_limit="512MB", writer_timeout=20, client_timeout=1
    )
    with open_registry(settings) as registry:
        yield kind(settings=settings, warehouse=warehouse, registry=registry, **more)

"""A pipeline with a data directory of its own, against one simulated company."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb

from finops_pipeline.ingestion.outcome import Collection
from finops_pipeline.openai_admin import AdminClient, LegacyClient, Pacer, RetryPolicy
from finops_pipeline.orchestration import Pipeline
from finops_pipeline.orchestration.run import DateRange, Runner
from finops_pipeline.registry import ProjectKey, open_registry
from finops_pipeline.settings import ExplicitSettings, Settings
from finops_pipeline.simulator import Scenario, SimulatedServer
from finops_pipeline.warehouse.dbt import Dbt
from tests import parsed

IMPATIENT = RetryPolicy(attempts=4, total=5.0, first_wait=0.01, max_wait=0.05, jitter=0.0)


@dataclass
class Workplace:
    """Settings, simulated company and pipeline that belong together.

    Attributes:
        closing: To be entered by whoever makes a workplace.
    """

    settings: Settings
    server: SimulatedServer
    pipeline: Pipeline
    closing: ExitStack = field(default_factory=ExitStack)
    _runner: tuple[Pipeline, Runner] | None = None

    def register(self, scenario: Scenario | None = None) -> None:
        """Register teams, keys and projects as the scenario suggests."""
        registration = (scenario or self.server.scenario).registration
        with open_registry(self.settings) as registry:
            for team in registration.teams:
                registry.add_team(team.team_id, team_name=team.name)
                registry.register_key(team.team_id, team.admin_key)
            for project in registration.projects:
                registry.add_project(
                    project.project_id,
                    team_id=project.team_id,
                    openai_project_id=project.openai_project_id,
                )

    @property
    def runner(self) -> Runner:
        """Runs the Dagster jobs in this process, on an instance that is nowhere written down.

        The same one until the pipeline is replaced: definitions take a second to put together.
        """
        if self._runner is None or self._runner[0] is not self.pipeline:
            instance = self.closing.enter_context(dg.DagsterInstance.ephemeral())
            self._runner = self.pipeline, Runner(self.pipeline, instance)
        return self._runner[1]

    def collect(self, start: date, end: date, teams: Sequence[str] = ()) -> Collection:
        return self.runner.collect(DateRange(start, end), teams)

    def build(self) -> None:
        self.runner.build()

    def marts(self, sql: str, **parameters: object) -> list[tuple[Any, ...]]:
        """Rows from the published marts."""
        with duckdb.connect(str(self.settings.marts_path), read_only=True) as connection:
            return connection.execute(sql, parameters).fetchall()

    def raw(self, sql: str, **parameters: object) -> list[tuple[Any, ...]]:
        """Rows from the raw warehouse."""
        with duckdb.connect(str(self.settings.warehouse_path)) as connection:
            return connection.execute(sql, parameters).fetchall()

    def truth(self, start: date, end: date) -> dict[tuple[str, date, str | None], Decimal]:
        """What the company was billed from ``start`` to ``end``, both inclusive."""
        return {
            (total.organization_id, total.day, total.project_id): total.amount
            for total in self.server.control.totals(start=start, end=end + timedelta(days=1))
        }


class ParsedOnce(Dbt):
    """dbt as it is, but a process parses the project once for all data directories."""

    manifest = parsed.manifest


@contextmanager
def opened_workplace(
    scenario: Scenario, folder: Path, *, registered: bool = True, **changes: Any
) -> Iterator[Workplace]:
    """A workplace in ``folder``, with a server of its own; ``changes`` are settings."""
    with SimulatedServer(scenario) as server:
        settings = ExplicitSettings(
            data_dir=folder / "data",
            key_file=folder / "key" / "key",
            openai_base_url=server.base_url,
            **changes,
        )

        def make_client(team_id: str, api_key: Callable[[], str]) -> AdminClient:
            return AdminClient(
                team_id=team_id,
                base_url=settings.openai_base_url,
                api_key=api_key,
                retry=IMPATIENT,
            )

        def make_legacy_client(
            team_id: str, key: ProjectKey, api_key: Callable[[], str]
        ) -> LegacyClient:
            return LegacyClient(
                team_id=team_id,
                project_id=key.project_id,
                openai_project_id=key.openai_project_id,
                base_url=settings.openai_base_url,
                api_key=api_key,
                pacer=Pacer(0.0),
                retry=IMPATIENT,
            )

        pipeline = Pipeline.from_settings(settings)
        workplace = Workplace(
            settings,
            server,
            replace(
                pipeline,
                dbt=ParsedOnce(pipeline.warehouse),
                make_client=make_client,
                make_legacy_client=make_legacy_client,
            ),
        )
        if registered:
            workplace.register()
        with workplace.closing:
            yield workplace

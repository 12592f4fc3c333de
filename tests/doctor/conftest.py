"""A simulated company, and an installation in which it is registered."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest

from finops_pipeline.doctor import Check, diagnose
from finops_pipeline.registry import open_registry
from finops_pipeline.settings import ExplicitSettings, Settings
from finops_pipeline.simulator import Scenario, SimulatedServer


@dataclass
class Installation:
    """Settings and company that belong together; ``settings`` may be replaced."""

    settings: Settings
    server: SimulatedServer

    def key_of(self, team_id: str) -> str:
        teams = self.server.scenario.registration.teams
        return next(team.admin_key for team in teams if team.team_id == team_id)

    def register(self) -> None:
        registration = self.server.scenario.registration
        with open_registry(self.settings) as registry:
            for team in registration.teams:
                registry.add_team(team.team_id)
                registry.register_key(team.team_id, team.admin_key)
            for project in registration.projects:
                registry.add_project(
                    project.project_id,
                    team_id=project.team_id,
                    openai_project_id=project.openai_project_id,
                )

    def replace_key(self, team_id: str, key: str, organization_id: str | None = None) -> None:
        with open_registry(self.settings) as registry:
            registry.rotate_key(team_id, key, organization_id=organization_id)

    def publish(self, sql: str) -> None:
        """Put a file in the place of the published marts."""
        with duckdb.connect(str(self.settings.marts_path)) as connection:
            connection.execute(sql)

    def checks(self, team_id: str | None = None) -> dict[tuple[str, str | None], Check]:
        """What the doctor finds, by name and team."""
        found = diagnose(lambda: self.settings, team_id=team_id)
        by_place = {(check.name, check.team_id): check for check in found}
        assert len(by_place) == len(found)
        return by_place

    def failed(self) -> set[tuple[str, str | None]]:
        return {place for place, check in self.checks().items() if check.status == "fail"}


@pytest.fixture(scope="session")
def server() -> Iterator[SimulatedServer]:
    """The demonstration's company, today."""
    with SimulatedServer(Scenario.demo(days=40)) as running:
        yield running


@pytest.fixture
def blank(
    server: SimulatedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Installation]:
    """A machine on which nothing was done yet."""
    # Set, so that what opening Dagster's instance sets is undone.
    monkeypatch.setenv("DAGSTER_HOME", "")
    yield Installation(
        ExplicitSettings(
            data_dir=tmp_path / "data",
            key_file=tmp_path / "config" / "key",
            openai_base_url=server.base_url,
        ),
        server,
    )
    server.control.reset()


@pytest.fixture
def installation(blank: Installation) -> Installation:
    """All of the company is registered; nothing was collected yet."""
    blank.register()
    return blank


Change = Callable[..., None]


@pytest.fixture
def change(installation: Installation) -> Change:
    """Replaces settings of the installation."""

    def apply(**changes: object) -> None:
        installation.settings = installation.settings.model_copy(update=changes)

    return apply

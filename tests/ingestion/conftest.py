"""Companies to collect from: simulated ones, and one whose every answer is written out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from finops_pipeline.ingestion.loading import create_raw_tables
from finops_pipeline.simulator import Scenario, SimulatedServer
from finops_pipeline.warehouse import Warehouse
from tests.ingestion.company import Company, SimulatedCompany, opened_company, three_teams
from tests.openai_admin.conftest import KEY, ScriptedServer


@pytest.fixture(scope="session")
def empty_warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A warehouse file with empty raw tables."""
    warehouse = Warehouse(tmp_path_factory.mktemp("empty"), memory_limit="512MB")
    create_raw_tables(warehouse)
    return warehouse.path


@pytest.fixture
def make_company(
    tmp_path: Path, empty_warehouse: Path
) -> Iterator[Callable[[Scenario], SimulatedCompany]]:
    """Makes companies from scenarios, their teams and keys registered."""
    with ExitStack() as stack:

        def make(scenario: Scenario) -> SimulatedCompany:
            server = stack.enter_context(SimulatedServer(scenario))
            company: SimulatedCompany = stack.enter_context(
                opened_company(
                    tmp_path,
                    server.base_url,
                    empty_warehouse,
                    kind=SimulatedCompany,
                    server=server,
                )
            )
            for team in scenario.registration.teams:
                company.register(team.team_id, team.admin_key)
            return company

        yield make


@pytest.fixture
def company(make_company: Callable[[Scenario], SimulatedCompany]) -> SimulatedCompany:
    return make_company(three_teams())


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as scripted:
        yield scripted


@pytest.fixture
def scripted(tmp_path: Path, empty_warehouse: Path, server: ScriptedServer) -> Iterator[Company]:
    """The team ``growth`` alone, and ``server`` in OpenAI's place."""
    with opened_company(tmp_path, server.base_url, empty_warehouse, kind=Company) as company:
        company.register("growth", KEY)
        yield company

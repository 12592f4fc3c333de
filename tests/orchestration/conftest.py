"""One simulated company and pipeline, and the jobs as the UI would launch them.

The modules share the company, each on days of its own: dbt parses its project once for all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import dagster as dg

    from tests.workplace import Workplace


@dataclass(frozen=True)
class Launcher:
    """Runs jobs on one throw-away instance, without the tags of the command line."""

    definitions: dg.Definitions
    instance: dg.DagsterInstance

    def collect(
        self, start: date, end: date, *, teams: tuple[str, ...] = ()
    ) -> dg.ExecuteInProcessResult:
        return self.definitions.resolve_job_def("collect").execute_in_process(
            instance=self.instance,
            raise_on_error=False,
            run_config={"ops": {"openai": {"config": {"teams": list(teams)}}}},
            tags={
                "dagster/asset_partition_range_start": start.isoformat(),
                "dagster/asset_partition_range_end": end.isoformat(),
            },
        )

    def build(self, *names: str) -> dg.ExecuteInProcessResult:
        """The job ``build``, or the models of these names alone as the UI materializes them."""
        if not names:
            return self.definitions.resolve_job_def("build").execute_in_process(
                instance=self.instance, raise_on_error=False
            )
        keys = [
            key
            for key in self.definitions.resolve_asset_graph().get_all_asset_keys()
            if key.path[-1] in names
        ]
        return self.definitions.resolve_implicit_global_asset_job_def().execute_in_process(
            instance=self.instance, raise_on_error=False, asset_selection=keys
        )

    def check(self, key: dg.AssetCheckKey) -> dg.ExecuteInProcessResult:
        """One check without its asset, as the UI executes it."""
        job = self.definitions.resolve_implicit_global_asset_job_def().get_subset(
            asset_selection=set(), asset_check_selection={key}
        )
        return job.execute_in_process(instance=self.instance, raise_on_error=False)


def reason(result: dg.ExecuteInProcessResult) -> str:
    """What the one step that failed said."""
    (failure,) = (event for event in result.all_events if event.is_step_failure)
    data = failure.step_failure_data.user_failure_data
    assert data is not None
    assert data.description is not None
    return data.description


@pytest.fixture(scope="session")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    """The demonstration's company in the first quarter of 2026, registered."""
    from finops_pipeline.simulator import Scenario
    from tests.workplace import opened_workplace

    scenario = Scenario.demo(start=date(2026, 1, 1), now=datetime(2026, 4, 15, 9, tzinfo=UTC))
    with opened_workplace(scenario, tmp_path_factory.mktemp("company")) as workplace:
        yield workplace


@pytest.fixture
def unharmed(company: Workplace) -> Iterator[Workplace]:
    """The company, whose planted faults end with the test."""
    yield company
    company.server.control.reset()


@pytest.fixture
def launcher(company: Workplace) -> Iterator[Launcher]:
    """A fresh instance over the company's pipeline."""
    import dagster as dg

    from finops_pipeline.orchestration import build_definitions

    with dg.DagsterInstance.ephemeral() as instance:
        yield Launcher(build_definitions(company.pipeline, console_level="CRITICAL"), instance)

"""The asset raw/legacy_usage: a job of its own, days that land, a team that fails alone."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pytest

from finops_pipeline.registry import open_registry
from finops_pipeline.simulator import Fault
from finops_pipeline.simulator.presets import project_key
from tests.orchestration.conftest import Launcher, reason

if TYPE_CHECKING:
    import dagster as dg

    from tests.workplace import Workplace

PROJECTS = {"search-ranking": "search", "search-answers": "search", "research-agents": "research"}
FIRST, LAST = date(2026, 2, 20), date(2026, 2, 21)


@pytest.fixture(scope="module", autouse=True)
def _registered(company: Workplace) -> None:
    with open_registry(company.settings) as registry:
        for project, team in PROJECTS.items():
            registry.register_key(team, project_key(project), project_id=project)


def collect(launcher: Launcher, *teams: str) -> dg.ExecuteInProcessResult:
    return launcher.definitions.resolve_job_def("collect_legacy_usage").execute_in_process(
        instance=launcher.instance,
        raise_on_error=False,
        run_config={"ops": {"legacy_usage": {"config": {"teams": list(teams)}}}},
        tags={
            "dagster/asset_partition_range_start": FIRST.isoformat(),
            "dagster/asset_partition_range_end": LAST.isoformat(),
        },
    )


def test_days_land_and_a_team_fails_alone(launcher: Launcher, unharmed: Workplace) -> None:
    unharmed.server.control.plant_fault(
        Fault(kind="status", status=401, key=project_key("search-answers"), code="invalid_api_key")
    )
    result = collect(launcher)
    assert result.success
    days = [
        (event.partition, event.materialization.metadata["failed_teams"].value)
        for event in result.get_asset_materialization_events()
    ]
    assert days == [("2026-02-20", "search"), ("2026-02-21", "search")]
    (check,) = result.get_asset_check_evaluations()
    assert (check.asset_key.path, check.check_name) == (
        ["raw", "legacy_usage"],
        "every_team_collected",
    )
    assert not check.passed
    assert check.description == "1 of 2 teams failed: search."


def test_a_day_that_no_team_tells_is_not_materialized(
    launcher: Launcher, unharmed: Workplace
) -> None:
    unharmed.server.control.plant_fault(
        Fault(kind="status", status=401, key=project_key("research-agents"), code="invalid_api_key")
    )
    result = collect(launcher, "research")
    assert not result.success
    assert result.get_asset_materialization_events() == []
    assert "2 of 2 days of raw/legacy_usage were read for no team" in reason(result)
    assert "project 'research-agents' on 2026-02-20" in reason(result)


def test_a_team_without_project_keys_is_no_failure(launcher: Launcher) -> None:
    result = collect(launcher, "support")
    assert result.success
    assert result.get_asset_materialization_events() == []
    (check,) = result.get_asset_check_evaluations()
    assert check.passed

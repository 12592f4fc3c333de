"""The job `collect`: one run for a range, and the truth about each of its days."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import dagster as dg
import pytest

from finops_pipeline.errors import FinopsError
from finops_pipeline.orchestration.run import DateRange, Runner
from finops_pipeline.simulator import Fault
from tests.orchestration.conftest import Launcher, reason
from tests.workplace import Workplace

COSTS = dg.AssetKey(["raw", "costs"])
USAGE = dg.AssetKey(["raw", "usage"])
FIRST_PAGE = 31


def days(start: date, count: int) -> set[str]:
    return {(start + timedelta(days=offset)).isoformat() for offset in range(count)}


def materializations(
    result: dg.ExecuteInProcessResult, asset: dg.AssetKey = COSTS
) -> list[dg.AssetMaterialization]:
    return [
        found
        for found in result.asset_materializations_for_node("openai")
        if found.asset_key == asset
    ]


def check(result: dg.ExecuteInProcessResult, asset: dg.AssetKey = COSTS) -> dg.AssetCheckEvaluation:
    """How `every_team_collected` judged the run."""
    (evaluation,) = (
        evaluation
        for evaluation in result.get_asset_check_evaluations()
        if (evaluation.asset_key, evaluation.check_name) == (asset, "every_team_collected")
    )
    return evaluation


def reasons(evaluation: dg.AssetCheckEvaluation) -> dict[str, str]:
    """The check's table: team → why it failed."""
    table = evaluation.metadata["failed_teams"]
    assert isinstance(table, dg.TableMetadataValue)
    return {str(row.data["team_id"]): str(row.data["reason"]) for row in table.records}


def test_a_range_is_one_run_that_tells_the_truth_about_each_day(
    company: Workplace, launcher: Launcher
) -> None:
    start, end = date(2026, 1, 1), date(2026, 1, 5)
    result = launcher.collect(start, end)

    assert result.success
    assert launcher.instance.get_runs_count() == 1
    assert launcher.instance.get_materialized_partitions(COSTS) == days(start, 5)
    by_day = {event.partition: event.metadata for event in materializations(result)}
    assert len(by_day) == 5
    # Two teams' keys see one organization, so each of its costs was seen twice.
    digital, research = company.server.scenario.organizations
    keys = {digital.id: len(digital.admin_keys), research.id: len(research.admin_keys)}
    for partition, metadata in by_day.items():
        assert partition is not None
        day = date.fromisoformat(partition)
        seen = sum(
            (
                amount * keys[organization]
                for (organization, _, _), amount in company.truth(day, day).items()
            ),
            Decimal(0),
        )
        assert Decimal(str(metadata["cost_seen_usd"].value)) == seen
        ((rows,),) = company.raw(
            "SELECT count(*) FROM raw.costs WHERE cost_date = $day", day=partition
        )
        assert metadata["rows"].value == rows > 0
        assert metadata["buckets_read"].value == 3
        assert metadata["buckets_changed"].value == 3
        assert metadata["teams_failed"].value == 0
        assert metadata["failed_teams"].value == "none"
    evaluation = check(result)
    assert evaluation.passed
    # One page of costs, one of project names and one of each usage endpoint for each team.
    assert evaluation.metadata["api_calls"].value == 3 * 12
    assert evaluation.metadata["buckets_read"].value == 15
    assert evaluation.metadata["buckets_read_before"].value == 0
    assert isinstance(evaluation.metadata["seconds"].value, float)


def test_reading_again_changes_no_bucket(company: Workplace, launcher: Launcher) -> None:
    day = date(2026, 1, 7)
    launcher.collect(day, day)
    again = launcher.collect(day, day)
    (materialization,) = materializations(again)
    assert materialization.metadata["buckets_read"].value == 3
    assert materialization.metadata["buckets_changed"].value == 0


def test_a_day_that_was_read_for_no_team_is_not_green(
    unharmed: Workplace, launcher: Launcher
) -> None:
    start = date(2026, 2, 1)
    unharmed.server.control.set_wire(clamp_limit_to_31=True)
    for team in unharmed.server.scenario.registration.teams:
        unharmed.server.control.plant_fault(
            Fault(kind="status", status=500, key=team.admin_key, endpoint="costs", nth=2)
        )
    result = launcher.collect(start, start + timedelta(days=FIRST_PAGE + 4))

    assert not result.success
    assert launcher.instance.get_materialized_partitions(COSTS) == days(start, FIRST_PAGE)
    evaluation = check(result)
    assert not evaluation.passed
    assert set(reasons(evaluation)) == {"search", "support", "research"}
    assert reason(result).startswith(
        "5 of 36 days of raw/costs were read for no team, the first on 2026-03-04. "
    )


def test_a_team_that_fails_leaves_the_run_green_and_the_check_failing(
    unharmed: Workplace, launcher: Launcher
) -> None:
    start = date(2026, 1, 10)
    (research,) = (
        team for team in unharmed.server.scenario.registration.teams if team.team_id == "research"
    )
    unharmed.server.control.plant_fault(
        Fault(kind="status", status=500, key=research.admin_key, endpoint="costs")
    )
    result = launcher.collect(start, start + timedelta(days=2))

    assert result.success
    assert launcher.instance.get_materialized_partitions(COSTS) == days(start, 3)
    for materialization in materializations(result):
        assert materialization.metadata["buckets_read"].value == 2
        assert materialization.metadata["teams_failed"].value == 1
        assert materialization.metadata["failed_teams"].value == "research"
    evaluation = check(result)
    assert not evaluation.passed
    assert evaluation.severity is dg.AssetCheckSeverity.ERROR
    assert evaluation.description == "1 of 3 teams failed: research."
    assert list(reasons(evaluation)) == ["research"]
    assert "500" in reasons(evaluation)["research"]
    assert research.admin_key not in str(result.all_events)

    unharmed.server.control.clear_faults()
    again = launcher.collect(start, start + timedelta(days=2), teams=("research",))
    assert check(again).passed
    assert check(again).description == "All 1 teams were read."
    statuses = unharmed.raw(
        "SELECT status, count(*) FROM raw.collections WHERE team_id = 'research' "
        "AND endpoint = 'costs' AND cost_date BETWEEN '2026-01-10' AND '2026-01-12' "
        "GROUP BY status ORDER BY status"
    )
    assert statuses == [("failed", 3), ("ok", 3)]


def test_usage_is_read_in_the_same_run_and_judged_apart(
    unharmed: Workplace, launcher: Launcher
) -> None:
    start = date(2026, 1, 20)
    (research,) = (
        team for team in unharmed.server.scenario.registration.teams if team.team_id == "research"
    )
    unharmed.server.control.plant_fault(
        Fault(kind="status", status=500, key=research.admin_key, endpoint="embeddings")
    )
    result = launcher.collect(start, start + timedelta(days=1))

    assert result.success
    assert launcher.instance.get_runs_count() == 1
    assert launcher.instance.get_materialized_partitions(USAGE) == days(start, 2)
    assert check(result).passed
    evaluation = check(result, USAGE)
    assert not evaluation.passed
    assert "usage of embeddings" in reasons(evaluation)["research"]
    for materialization in materializations(result, USAGE):
        assert materialization.metadata["buckets_read"].value == 3 * 10 - 1
        assert materialization.metadata["buckets_unsupported"].value == 0
        assert materialization.metadata["failed_teams"].value == "research"
        ((rows,),) = unharmed.raw(
            "SELECT count(*) FROM raw.usage WHERE cost_date = $day", day=materialization.partition
        )
        assert materialization.metadata["rows"].value == rows > 0


def test_usage_lands_where_the_costs_are_out_for_all(
    unharmed: Workplace, launcher: Launcher
) -> None:
    day = date(2026, 1, 23)
    unharmed.server.control.plant_fault(Fault(kind="status", status=404, endpoint="costs"))
    result = launcher.collect(day, day)
    assert not result.success
    assert reason(result).startswith("1 of 1 days of raw/costs were read for no team")
    assert launcher.instance.get_materialized_partitions(COSTS) == set()
    assert launcher.instance.get_materialized_partitions(USAGE) == {day.isoformat()}
    assert check(result, USAGE).passed


def test_usage_can_be_read_alone(company: Workplace, launcher: Launcher) -> None:
    day = date(2026, 1, 25)
    company.server.control.reset_requests()
    result = launcher.definitions.resolve_implicit_global_asset_job_def().execute_in_process(
        instance=launcher.instance, asset_selection=[USAGE], partition_key=day.isoformat()
    )
    assert result.success
    assert launcher.instance.get_materialized_partitions(USAGE) == {day.isoformat()}
    assert launcher.instance.get_materialized_partitions(COSTS) == set()
    paths = {request.path for request in company.server.control.requests()}
    assert "/v1/organization/costs" not in paths
    assert "/v1/organization/usage/completions" in paths


def collect_endpoints(
    launcher: Launcher, *endpoints: str, assets: list[dg.AssetKey] | None = None
) -> dg.ExecuteInProcessResult:
    return launcher.definitions.resolve_job_def("collect").execute_in_process(
        instance=launcher.instance,
        raise_on_error=False,
        asset_selection=assets,
        run_config={"ops": {"openai": {"config": {"endpoints": list(endpoints)}}}},
        partition_key="2026-01-26",
    )


def test_single_endpoints_can_be_read(company: Workplace, launcher: Launcher) -> None:
    company.server.control.reset_requests()
    result = collect_endpoints(launcher, "images", "embeddings")
    assert result.success
    paths = {request.path for request in company.server.control.requests()}
    assert paths - {"/v1/organization/projects"} == {
        "/v1/organization/usage/embeddings",
        "/v1/organization/usage/images",
    }
    assert launcher.instance.get_materialized_partitions(USAGE) == {"2026-01-26"}
    assert launcher.instance.get_materialized_partitions(COSTS) == set()
    judged = {evaluation.asset_key for evaluation in result.get_asset_check_evaluations()}
    assert judged == {USAGE}, "an asset that has none of them is left out"


def test_an_endpoint_that_the_run_does_not_read_fails_it_in_words(launcher: Launcher) -> None:
    unknown = collect_endpoints(launcher, "costs", "pictures")
    assert reason(unknown).startswith("There is no endpoint 'pictures'. The endpoints are costs, ")
    elsewhere = collect_endpoints(launcher, "images", assets=[COSTS])
    assert "images belongs to an asset that this run does not read" in reason(elsewhere)


def test_an_unknown_team_fails_the_run_in_words(company: Workplace, launcher: Launcher) -> None:
    result = launcher.collect(date(2026, 1, 1), date(2026, 1, 1), teams=("nobody",))
    assert "'nobody' is not registered" in reason(result)
    assert launcher.instance.get_materialized_partitions(COSTS) == set()

    runner = Runner(company.pipeline, launcher.instance)
    with pytest.raises(FinopsError, match="'nobody' is not registered"):
        runner.collect(DateRange(date(2026, 1, 1), date(2026, 1, 1)), ["nobody"])

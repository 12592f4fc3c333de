"""The sensor that reads what is missing: what it asks for, when, and when it gives up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from finops_pipeline.ingestion.gaps import Gap
from finops_pipeline.orchestration import build_definitions
from finops_pipeline.orchestration.asset_keys import COSTS_KEY, USAGE_KEY
from finops_pipeline.orchestration.completeness import TRIES
from finops_pipeline.orchestration.repair import Repair, plan
from finops_pipeline.orchestration.resuming import range_tags
from finops_pipeline.registry import open_registry
from finops_pipeline.simulator import Fault, Scenario
from tests.workplace import Workplace, opened_workplace

NOW = datetime(2026, 3, 12, 13, tzinfo=UTC)
HOUR = timedelta(hours=1)


def day(number: int) -> date:
    return date(2026, 3, number)


def gaps(
    team: str, *days: int, endpoint: str = "costs", tries: int = 0, ago: timedelta = HOUR
) -> list[Gap]:
    runs = frozenset(f"run {number}" for number in range(tries))
    tried_at = NOW - ago if tries else None
    return [Gap(team, endpoint, day(number), None, runs, runs, tried_at, "500") for number in days]


def test_teams_with_equal_days_share_a_run_and_nothing_else_is_read() -> None:
    found = [
        *gaps("search", 1, 2, 3, 7),
        *gaps("support", 1, 2, 3),
        *gaps("research", 2, 3),
    ]
    assert plan(found, NOW) == [
        Repair(day(1), day(3), ("search", "support"), ("costs",)),
        Repair(day(2), day(3), ("research",), ("costs",)),
        Repair(day(7), day(7), ("search",), ("costs",)),
    ]


def test_only_teams_that_miss_the_same_endpoints_share_a_run() -> None:
    found = [
        *gaps("research", 1, 2, endpoint="images"),
        *gaps("search", 1, 2),
        *gaps("search", 1, 2, endpoint="images"),
        *gaps("support", 1, 2),
        *gaps("support", 1, 2, endpoint="images"),
    ]
    assert plan(found, NOW) == [
        Repair(day(1), day(2), ("research",), ("images",)),
        Repair(day(1), day(2), ("search", "support"), ("costs", "images")),
    ]


def test_endpoints_that_miss_the_same_teams_share_a_run_where_that_makes_fewer() -> None:
    found = [
        *gaps("research", 1, endpoint="images"),
        *gaps("search", 1),
        *gaps("search", 1, endpoint="images"),
        *gaps("support", 1),
    ]
    assert plan(found, NOW) == [
        Repair(day(1), day(1), ("research", "search"), ("images",)),
        Repair(day(1), day(1), ("search", "support"), ("costs",)),
    ]


def test_the_days_of_an_endpoint_stay_in_one_run() -> None:
    found = [*gaps("search", 1, 2, 3), *gaps("search", 2, endpoint="images")]
    assert plan(found, NOW) == [
        Repair(day(1), day(3), ("search",), ("costs",)),
        Repair(day(2), day(2), ("search",), ("images",)),
    ]


@pytest.mark.parametrize(("tries", "hours"), [(1, 1), (2, 2), (3, 4), (4, 8)])
def test_each_try_waits_twice_as_long(tries: int, hours: int) -> None:
    second = timedelta(seconds=1)
    assert plan(gaps("search", 1, tries=tries, ago=hours * HOUR - second), NOW) == []
    assert plan(gaps("search", 1, tries=tries, ago=hours * HOUR), NOW) != []


def test_after_five_tries_it_asks_no_more() -> None:
    assert plan(gaps("search", 1, tries=5, ago=timedelta(days=99)), NOW) == []


class Daemon:
    """Evaluates the sensor and runs what it asks for, as Dagster's daemon does."""

    def __init__(self, workplace: Workplace, instance: dg.DagsterInstance) -> None:
        self.now = NOW
        self.instance = instance
        self.workplace = workplace
        pipeline = replace(workplace.pipeline, now=lambda: self.now)
        self.definitions = build_definitions(pipeline, console_level="CRITICAL")
        self.cursor: str | None = None
        self.said: list[dg.AssetCheckEvaluation] = []

    def evaluate(self) -> dg.SensorResult:
        sensor = self.definitions.resolve_sensor_def("repair_gaps")
        context = dg.build_sensor_context(
            self.instance, cursor=self.cursor, definitions=self.definitions
        )
        result = sensor(context)
        if isinstance(result, dg.SkipReason):
            return dg.SensorResult(skip_reason=result)
        assert isinstance(result, dg.SensorResult)
        self.cursor = result.cursor
        for event in result.asset_events:
            assert isinstance(event, dg.AssetCheckEvaluation)
            if event.asset_key.path[-1] == "costs":
                self.said.append(event)
        return result

    def tick(self) -> list[tuple[str, str, list[str]]]:
        """What this evaluation reads: first day, last day, teams."""
        asked = []
        for request in self.evaluate().run_requests or ():
            first, last = (
                request.tags[f"dagster/asset_partition_range_{end}"] for end in ("start", "end")
            )
            asked.append((first, last, request.run_config["ops"]["openai"]["config"]["teams"]))
            self._run(request.run_config, dict(request.tags), request.asset_selection)
        return asked

    def collect(self, first: int, last: int) -> dg.ExecuteInProcessResult:
        return self._run({}, range_tags(day(first), day(last)))

    def _run(
        self,
        config: Mapping[str, Any],
        tags: Mapping[str, str],
        assets: Sequence[dg.AssetKey] | None = None,
    ) -> dg.ExecuteInProcessResult:
        result = self.definitions.resolve_job_def("collect").execute_in_process(
            instance=self.instance,
            raise_on_error=False,
            run_config=config,
            tags=tags,
            asset_selection=assets,
        )
        # The ledger's times are the machine's; here they have to be the test's.
        self.now += timedelta(seconds=1)
        with self.workplace.pipeline.warehouse.connect() as connection:
            connection.execute(
                "UPDATE raw.collections SET collected_at = $now WHERE run_id = $run",
                {"now": self.now, "run": result.run_id},
            )
        return result


@pytest.fixture
def daemon(company: Workplace, tmp_path: Path) -> Iterator[Daemon]:
    """A company of its own, on 12 March 2026 at 13:00; nothing was collected."""
    scenario = Scenario.demo(start=date(2026, 3, 1), now=NOW)
    with (
        opened_workplace(scenario, tmp_path, start_date=date(2026, 3, 1)) as workplace,
        dg.DagsterInstance.ephemeral() as instance,
    ):
        # Nothing is built here, and parsing dbt's project takes seconds.
        parsed = replace(workplace.pipeline, dbt=company.pipeline.dbt)
        yield Daemon(replace(workplace, pipeline=parsed), instance)


def key_of(daemon: Daemon, team_id: str) -> str:
    teams = daemon.workplace.server.scenario.registration.teams
    (key,) = (team.admin_key for team in teams if team.team_id == team_id)
    return key


def test_it_is_off_by_default_and_a_setting_turns_it_on(daemon: Daemon) -> None:
    sensor = daemon.definitions.resolve_sensor_def("repair_gaps")
    assert sensor.default_status is dg.DefaultSensorStatus.STOPPED
    settings = daemon.workplace.settings.model_copy(update={"schedules_enabled": True})
    enabled = build_definitions(replace(daemon.workplace.pipeline, settings=settings))
    assert enabled.resolve_sensor_def("repair_gaps").default_status is (
        dg.DefaultSensorStatus.RUNNING
    )


def test_it_reads_exactly_what_is_missing_or_failed(daemon: Daemon) -> None:
    assert daemon.tick() == [], "nobody has asked for anything yet"
    daemon.collect(1, 11)
    assert daemon.tick() == []
    assert daemon.said[-1].passed

    control = daemon.workplace.server.control
    control.plant_fault(
        Fault(kind="status", status=500, endpoint="costs", key=key_of(daemon, "research"))
    )
    daemon.collect(4, 5)
    control.clear_faults()
    daemon.now += timedelta(days=2)
    control.set_clock(daemon.now)
    daemon.workplace.raw(
        "DELETE FROM raw.collections WHERE team_id = 'search' AND cost_date = '2026-03-07'"
    )
    assert daemon.tick() == [
        ("2026-03-04", "2026-03-05", ["research"]),
        ("2026-03-07", "2026-03-07", ["search"]),
        ("2026-03-12", "2026-03-13", ["research", "search", "support"]),
    ]
    assert daemon.tick() == []
    assert daemon.said[-1].passed


def test_it_reads_exactly_the_endpoints_that_are_missing(daemon: Daemon) -> None:
    daemon.collect(9, 11)
    daemon.workplace.raw(
        "DELETE FROM raw.collections WHERE cost_date = '2026-03-10' "
        "AND (team_id, endpoint) IN (('search', 'embeddings'), ('support', 'costs'))"
    )
    found = daemon.evaluate()
    assert [request.asset_selection for request in found.run_requests or ()] == [
        [USAGE_KEY],
        [COSTS_KEY],
    ]
    daemon.workplace.server.control.reset_requests()
    assert daemon.tick() == [
        ("2026-03-10", "2026-03-10", ["search"]),
        ("2026-03-10", "2026-03-10", ["support"]),
    ]
    names = "/v1/organization/projects"
    assert [
        (request.path, request.last4)
        for request in daemon.workplace.server.control.requests()
        if request.path != names
    ] == [
        ("/v1/organization/usage/embeddings", key_of(daemon, "search")[-4:]),
        ("/v1/organization/costs", key_of(daemon, "support")[-4:]),
    ]
    repaired = daemon.workplace.raw(
        "SELECT team_id, endpoint, cost_date FROM raw.collections "
        "WHERE collected_at > $first ORDER BY ALL",
        first=NOW + timedelta(seconds=1),
    )
    assert repaired == [("search", "embeddings", day(10)), ("support", "costs", day(10))]
    assert daemon.tick() == []
    assert daemon.said[-1].passed


def test_both_assets_are_judged_by_their_own_endpoints(daemon: Daemon) -> None:
    daemon.collect(10, 11)
    daemon.workplace.raw("DELETE FROM raw.collections WHERE endpoint = 'images'")
    judged = {event.asset_key: event for event in daemon.evaluate().asset_events}
    assert judged[COSTS_KEY].passed  # type: ignore[union-attr]
    assert not judged[USAGE_KEY].passed  # type: ignore[union-attr]


def test_yesterday_is_the_daily_runs_until_noon(daemon: Daemon) -> None:
    daemon.collect(1, 11)
    daemon.now = datetime(2026, 3, 13, 11, 59, tzinfo=UTC)
    assert daemon.evaluate().run_requests == []
    daemon.now += timedelta(minutes=1)
    (request,) = daemon.evaluate().run_requests or ()
    assert request.tags["dagster/asset_partition_range_start"] == "2026-03-12"


def test_it_gives_up_loudly_after_five_tries_until_the_key_changes(daemon: Daemon) -> None:
    refused = key_of(daemon, "support")
    daemon.workplace.server.control.plant_fault(
        Fault(kind="status", status=403, endpoint="costs", key=refused)
    )
    daemon.collect(10, 11)
    assert daemon.said == []
    waits = [1, 2, 4, 8]
    for hours in waits:
        daemon.now += hours * HOUR - timedelta(minutes=1)
        assert daemon.tick() == []
        assert daemon.said[-1].severity is dg.AssetCheckSeverity.WARN
        daemon.now += timedelta(minutes=1)
        assert daemon.tick() == [("2026-03-10", "2026-03-11", ["support"])]
    said = len(daemon.said)
    for _ in range(3):
        daemon.now += HOUR
        assert daemon.tick() == []
    given_up = daemon.said[-1]
    assert len(daemon.said) == said + 1, "said once"
    assert (given_up.check_name, given_up.passed) == ("every_day_collected", False)
    assert given_up.severity is dg.AssetCheckSeverity.ERROR
    assert given_up.description is not None
    assert given_up.description.startswith(
        "2 buckets failed 5 times and are given up, of support. The newest error: Team 'support'"
    )
    table = given_up.metadata["gaps"]
    assert isinstance(table, dg.TableMetadataValue)
    (line,) = (record.data for record in table.records)
    assert (line["first_day"], line["last_day"]) == ("2026-03-10", "2026-03-11")
    assert (line["failed_tries"], line["given_up"]) == (5, True)
    assert refused not in str(given_up)

    with open_registry(daemon.workplace.settings) as registry:
        registry.rotate_key("support", key_of(daemon, "search"))
    assert daemon.tick() == [("2026-03-10", "2026-03-11", ["support"])]
    assert daemon.tick() == []
    assert daemon.said[-1].passed


def test_teams_that_cannot_be_read_are_not_asked_for(daemon: Daemon) -> None:
    daemon.collect(1, 5)
    with open_registry(daemon.workplace.settings) as registry:
        registry.deactivate_team("support")
        registry.deactivate_key("research")
    assert daemon.tick() == [("2026-03-06", "2026-03-11", ["search"])]


def test_it_waits_while_something_is_read_but_not_for_a_build(daemon: Daemon) -> None:
    daemon.collect(1, 10)
    run = dg.DagsterRun(job_name="collect", status=dg.DagsterRunStatus.STARTED)
    daemon.instance.add_run(run)
    skipped = daemon.evaluate().skip_reason
    assert skipped is not None
    assert run.run_id in str(skipped.skip_message)
    daemon.instance.report_run_failed(run)
    daemon.instance.add_run(dg.DagsterRun(job_name="build", status=dg.DagsterRunStatus.STARTED))
    assert len(daemon.evaluate().run_requests or ()) == 1


def test_a_repair_that_ends_before_it_reads_counts_as_a_try(daemon: Daemon) -> None:
    daemon.collect(1, 10)
    (request,) = daemon.evaluate().run_requests or ()
    run = dg.DagsterRun(job_name="collect", tags=request.tags, run_config=request.run_config)
    daemon.instance.add_run(run)
    daemon.instance.report_run_failed(run)
    assert daemon.evaluate().run_requests == []
    assert "ended before it read anything" in str(daemon.said[-1].description)
    table = daemon.said[-1].metadata["gaps"]
    assert isinstance(table, dg.TableMetadataValue)
    assert {record.data["failed_tries"] for record in table.records} == {1}


def test_a_collection_judges_as_the_sensor_does(daemon: Daemon) -> None:
    daemon.collect(10, 11)
    daemon.workplace.raw(
        "DELETE FROM raw.collections WHERE team_id = 'search' AND cost_date = '2026-03-10' "
        "AND endpoint = 'costs'"
    )
    (request,) = daemon.evaluate().run_requests or ()
    for _ in range(TRIES):
        run = dg.DagsterRun(job_name="collect", tags=request.tags, run_config=request.run_config)
        daemon.instance.add_run(run)
        daemon.instance.report_run_failed(run)
    daemon.evaluate()
    given_up = daemon.said[-1]
    assert given_up.severity is dg.AssetCheckSeverity.ERROR
    said = len(daemon.said)
    result = daemon.collect(11, 11)
    (judged,) = (
        each
        for each in result.get_asset_check_evaluations()
        if (each.check_name, each.asset_key) == (given_up.check_name, COSTS_KEY)
    )
    assert (judged.severity, judged.description) == (given_up.severity, given_up.description)
    daemon.evaluate()
    assert len(daemon.said) == said, "and is not said again"


def test_a_lost_repair_is_a_try_of_its_own_endpoints_alone(daemon: Daemon) -> None:
    daemon.collect(10, 11)
    daemon.workplace.raw("DELETE FROM raw.collections WHERE endpoint = 'images'")
    (request,) = daemon.evaluate().run_requests or ()
    run = dg.DagsterRun(job_name="collect", tags=request.tags, run_config=request.run_config)
    daemon.instance.add_run(run)
    daemon.instance.report_run_failed(run)
    daemon.workplace.raw("DELETE FROM raw.collections WHERE endpoint = 'embeddings'")
    (asked,) = daemon.evaluate().run_requests or ()
    assert asked.run_config["ops"]["openai"]["config"]["endpoints"] == ["embeddings"]


def test_it_says_who_holds_the_warehouse(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("finops_pipeline.orchestration.repair._PATIENCE_SECONDS", 0.0)
    with daemon.workplace.pipeline.warehouse.writing("building marts"):
        skipped = daemon.evaluate().skip_reason
    assert skipped is not None
    assert "(building marts, since " in str(skipped.skip_message)

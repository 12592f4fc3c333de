"""The sensor that starts a build once something has landed."""

from __future__ import annotations

from datetime import date

import dagster as dg
import pytest

from finops_pipeline.orchestration.asset_keys import COSTS_KEY
from finops_pipeline.orchestration.instance import process_tags
from finops_pipeline.orchestration.run import DateRange, Runner
from finops_pipeline.simulator import Fault
from tests.orchestration.conftest import Launcher
from tests.orchestration.test_build import amounts_tampered_with
from tests.workplace import Workplace

START, END = date(2026, 3, 11), date(2026, 3, 20)


class Sensor:
    """The sensor as the daemon treats it: a run key that was asked for once starts no more."""

    def __init__(self, launcher: Launcher) -> None:
        self._launcher = launcher
        self._sensor = launcher.definitions.resolve_sensor_def("build_after_collecting")
        self._asked: set[str | None] = set()

    def tick(self) -> int:
        """Builds that this evaluation starts."""
        context = dg.build_sensor_context(
            self._launcher.instance, definitions=self._launcher.definitions
        )
        requests = self._sensor.evaluate_tick(context).run_requests or ()
        keys = {request.run_key for request in requests}
        new = keys - self._asked
        self._asked |= keys
        return len(new)


@pytest.fixture
def sensor(launcher: Launcher) -> Sensor:
    return Sensor(launcher)


def test_it_runs_by_default_and_starts_the_whole_build(launcher: Launcher) -> None:
    definition = launcher.definitions.resolve_sensor_def("build_after_collecting")
    assert definition.default_status is dg.DefaultSensorStatus.RUNNING
    assert [target.job_name for target in definition.targets] == ["build"]


def test_a_range_that_landed_is_built_once(
    company: Workplace, launcher: Launcher, sensor: Sensor
) -> None:
    assert sensor.tick() == 0
    launcher.collect(START, END)
    assert sensor.tick() == 1
    assert sensor.tick() == 0
    # As the command line does: what it collects it also builds.
    runner = Runner(company.pipeline, launcher.instance)
    runner.collect(DateRange(START, START))
    runner.build()
    assert sensor.tick() == 0


def test_a_day_that_was_read_for_no_team_is_built_so_that_its_reason_shows(
    company: Workplace, launcher: Launcher, sensor: Sensor
) -> None:
    company.server.control.plant_fault(Fault(kind="status", status=401, endpoint="costs"))
    assert not launcher.collect(START, START).success
    company.server.control.clear_faults()
    assert launcher.instance.fetch_materializations(COSTS_KEY, limit=1).records == []
    (record,) = launcher.instance.fetch_observations(COSTS_KEY, limit=9).records
    observation = record.event_log_entry.asset_observation
    assert observation is not None
    assert observation.partition == START.isoformat()
    assert observation.metadata["failed_teams"].value == "research, search, support"
    assert sensor.tick() == 1
    assert sensor.tick() == 0


def test_what_lands_after_a_build_began_is_built_again(launcher: Launcher, sensor: Sensor) -> None:
    launcher.collect(START, START)
    assert sensor.tick() == 1
    launcher.collect(START, START)
    assert sensor.tick() == 1


def test_a_build_that_failed_is_not_tried_again_before_something_lands(
    company: Workplace, launcher: Launcher, sensor: Sensor
) -> None:
    launcher.collect(START, START)
    with amounts_tampered_with(company):
        assert sensor.tick() == 1
        assert not launcher.build().success
    assert sensor.tick() == 0
    launcher.collect(START, START)
    assert sensor.tick() == 1


def test_it_waits_while_anything_is_under_way(launcher: Launcher, sensor: Sensor) -> None:
    launcher.collect(START, START)
    run = dg.DagsterRun(job_name="collect", status=dg.DagsterRunStatus.STARTED)
    launcher.instance.add_run(run)
    assert sensor.tick() == 0
    launcher.instance.report_run_failed(run)
    assert sensor.tick() == 1


def test_a_run_whose_process_died_does_not_keep_it_waiting(
    launcher: Launcher, sensor: Sensor
) -> None:
    launcher.collect(START, START)
    run = dg.DagsterRun(
        job_name="collect",
        status=dg.DagsterRunStatus.STARTED,
        tags=dict.fromkeys(process_tags(launcher.instance), "gone.lock"),
    )
    launcher.instance.add_run(run)
    assert sensor.tick() == 1
    (dead,) = launcher.instance.get_runs(dg.RunsFilter(run_ids=[run.run_id]))
    assert dead.status is dg.DagsterRunStatus.FAILURE

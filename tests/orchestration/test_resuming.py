"""Runs that are cancelled, and the runs that go on where they ended."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta

import dagster as dg
import pytest

from finops_pipeline.errors import UsageError
from finops_pipeline.ingestion import collect
from finops_pipeline.ingestion.outcome import Progress
from finops_pipeline.orchestration.asset_keys import USAGE_KEY
from finops_pipeline.orchestration.raw import ENDPOINTS_OF
from finops_pipeline.orchestration.resuming import (
    Resumption,
    broken_off_runs,
    newest_broken_off,
    range_tags,
)
from finops_pipeline.orchestration.run import DateRange, Runner
from finops_pipeline.simulator import Fault
from tests.orchestration.conftest import Launcher, reason
from tests.workplace import Workplace

COSTS = dg.AssetKey(["raw", "costs"])
START, END = date(2026, 2, 1), date(2026, 3, 5)
FIRST_PAGE = {(START + timedelta(days=offset)).isoformat() for offset in range(31)}
WHOLE = FIRST_PAGE | {"2026-03-04", "2026-03-05"}
RESUMES = "dagster/parent_run_id"


@pytest.fixture
def one_by_one(company: Workplace, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workplace]:
    """The company's costs, read a team at a time in two pages each; every page is a load."""
    monkeypatch.setattr(collect, "_LOAD_SECONDS", 0.0)
    monkeypatch.delitem(ENDPOINTS_OF, USAGE_KEY)
    company.server.control.set_wire(clamp_limit_to_31=True)
    settings = company.settings.model_copy(update={"max_concurrent_teams": 1})
    yield replace(company, pipeline=replace(company.pipeline, settings=settings))
    company.server.control.reset()


def interrupt(company: Workplace, instance: dg.DagsterInstance, *, cancelled: bool) -> str:
    """Interrupt a run when only the second page of the last team has not landed; its id."""

    loads = 0

    def look(progress: Progress) -> None:
        nonlocal loads
        landed, loads = progress.loads > loads, progress.loads
        if landed and progress.buckets_done == 3 * 33 - 2:
            if cancelled:  # as the UI does before it interrupts the process
                (run,) = instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]))
                instance.report_run_canceling(run)
            signal.raise_signal(signal.SIGINT)

    runner = Runner(replace(company.pipeline, on_collect=look), instance)
    with pytest.raises(KeyboardInterrupt):
        runner.collect(DateRange(START, END))
    (run,) = instance.get_runs(limit=1)
    assert run.status is (
        dg.DagsterRunStatus.CANCELED if cancelled else dg.DagsterRunStatus.FAILURE
    )
    return run.run_id


@pytest.mark.parametrize("cancelled", [True, False], ids=["cancelled", "interrupted"])
def test_what_landed_before_an_interrupt_is_green_and_not_read_again(
    one_by_one: Workplace, launcher: Launcher, cancelled: bool
) -> None:
    instance, control = launcher.instance, one_by_one.server.control
    run_id = interrupt(one_by_one, instance, cancelled=cancelled)
    assert instance.get_materialized_partitions(COSTS) == FIRST_PAGE

    found = newest_broken_off(instance, job="collect", op="openai")
    tags = {RESUMES: run_id, "dagster/root_run_id": run_id}
    assert found == Resumption(run_id, START, END, [], [], [], tags)
    control.reset_requests()
    runner = Runner(one_by_one.pipeline, instance)
    resumed = runner.collect(DateRange(found.start, found.end), found.teams, tags=found.tags)

    assert [(bucket.team_id, bucket.day.isoformat()) for bucket in resumed.buckets] == [
        ("support", "2026-03-04"),
        ("support", "2026-03-05"),
    ]
    assert len(resumed.read_before) == 3 * 33 - 2
    assert [request.path for request in control.requests()].count("/v1/organization/costs") == 1
    assert instance.get_materialized_partitions(COSTS) == WHOLE
    with pytest.raises(UsageError, match="no collection that broke off"):
        newest_broken_off(instance, job="collect", op="openai")
    # Whoever names the days wants them read, however recently they were.
    assert len(runner.collect(DateRange(START, END)).buckets) == 3 * 33


def test_a_run_that_failed_is_resumed_for_what_failed(
    one_by_one: Workplace, launcher: Launcher
) -> None:
    instance, control = launcher.instance, one_by_one.server.control
    control.plant_fault(Fault(kind="status", status=500, endpoint="costs", nth=2, times=12))
    first = launcher.collect(START, END)
    assert not first.success
    assert "days of raw/costs were read for no team" in reason(first)
    control.clear_faults()
    resumption = newest_broken_off(instance, job="collect", op="openai")
    resumed = Runner(one_by_one.pipeline, instance).collect(
        DateRange(START, END), tags=resumption.tags
    )
    assert len(resumed.read_before) + len(resumed.buckets) == 3 * 33
    assert {bucket.day for bucket in resumed.buckets} >= {date(2026, 3, 4), date(2026, 3, 5)}
    assert resumed.failed_teams == {}
    assert instance.get_materialized_partitions(COSTS) == WHOLE


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as opened:
        yield opened


def add(
    instance: dg.DagsterInstance,
    status: dg.DagsterRunStatus,
    *,
    resumes: dg.DagsterRun | None = None,
    tags: dict[str, str] | None = None,
) -> dg.DagsterRun:
    run = dg.DagsterRun(
        job_name="collect",
        status=status,
        run_config={"ops": {"openai": {"config": {"teams": ["search"], "endpoints": ["images"]}}}},
        tags={
            **(range_tags(START, END) if tags is None else tags),
            **({RESUMES: resumes.run_id} if resumes else {}),
        },
    )
    return instance.add_run(run)


CANCELED, FAILED = dg.DagsterRunStatus.CANCELED, dg.DagsterRunStatus.FAILURE
SUCCESS, STARTED = dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.STARTED


def test_a_run_continues_a_chain_that_broke_off_up_to_one_that_succeeded(
    instance: dg.DagsterInstance,
) -> None:
    good = add(instance, SUCCESS)
    first = add(instance, CANCELED, resumes=good)
    second = add(instance, FAILED, resumes=first)
    third = add(instance, STARTED, resumes=second)
    assert broken_off_runs(instance, third) == [second.run_id, first.run_id]
    assert broken_off_runs(instance, first) == []
    assert broken_off_runs(instance, good) == []


def test_the_newest_run_that_nobody_finished_is_resumed(instance: dg.DagsterInstance) -> None:
    older = add(instance, CANCELED)
    newer = add(instance, FAILED)
    add(instance, FAILED, tags={})  # of no range: not ours
    add(instance, SUCCESS)

    def newest() -> Resumption:
        return newest_broken_off(instance, job="collect", op="openai")

    assert (newest().run_id, newest().teams) == (newer.run_id, ["search"])
    assert newest().endpoints == ["images"]
    again = add(instance, CANCELED, resumes=newer)
    assert newest().run_id == again.run_id
    add(instance, SUCCESS, resumes=again)
    assert newest().run_id == older.run_id
    add(instance, SUCCESS, resumes=older)
    with pytest.raises(UsageError, match="no collection that broke off"):
        newest()

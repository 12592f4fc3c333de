"""What the schedules ask for, and when."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import dagster as dg
import pytest

from finops_pipeline.ingestion.days import joined, last_days, previous_month
from finops_pipeline.orchestration import build_definitions
from finops_pipeline.orchestration import schedules as schedules_module
from finops_pipeline.orchestration.asset_keys import COSTS_KEY
from tests.orchestration.conftest import Launcher
from tests.workplace import Workplace

NOW = datetime(2026, 3, 12, 6, 30, tzinfo=UTC)
Evaluate = Callable[..., list[tuple[str, str]]]


@pytest.fixture
def evaluate(company: Workplace) -> Evaluate:
    """Evaluates a schedule; the ranges of days that it asks for, or none where it skips."""

    def do(name: str, *, now: datetime = NOW, **changes: object) -> list[tuple[str, str]]:
        settings = company.settings.model_copy(update=changes)
        pipeline = replace(company.pipeline, settings=settings, now=lambda: now)
        definitions = build_definitions(pipeline)
        with dg.DagsterInstance.ephemeral() as instance:
            context = dg.build_schedule_context(instance, scheduled_execution_time=now)
            data = definitions.resolve_schedule_def(name).evaluate_tick(context)
        requests = data.run_requests or []
        assert len({request.run_key for request in requests}) == len(requests)
        return [
            (
                request.tags["dagster/asset_partition_range_start"],
                request.tags["dagster/asset_partition_range_end"],
            )
            for request in requests
        ]

    return do


def test_they_are_off_by_default_in_utc_and_a_setting_turns_them_on(company: Workplace) -> None:
    for enabled, status in ((False, "STOPPED"), (True, "RUNNING")):
        settings = company.settings.model_copy(update={"schedules_enabled": enabled})
        definitions = build_definitions(replace(company.pipeline, settings=settings))
        found = {each.name: each for each in definitions.get_repository_def().schedule_defs}
        assert set(found) == {"daily", "weekly", "monthly", "housekeeping"}
        assert {each.default_status.value for each in found.values()} == {status}
        assert {each.execution_timezone for each in found.values()} == {"UTC"}
        assert found["housekeeping"].job_name == "housekeeping"
        assert {found[name].job_name for name in ("daily", "weekly", "monthly")} == {"collect"}


def test_every_day_reads_the_window_and_what_is_not_settled(
    company: Workplace, launcher: Launcher, evaluate: Evaluate
) -> None:
    early, late = date(2026, 1, 25), date(2026, 1, 26)
    launcher.collect(early, late)
    with company.pipeline.warehouse.connect() as connection:
        connection.execute(
            "UPDATE raw.collections SET collected_at = '2026-01-26 09:00:00Z' "
            "WHERE cost_date = $day",
            {"day": early},
        )
    asked = evaluate("daily")
    assert asked[-1][1] == "2026-03-11"
    assert asked[-1][0] <= "2026-03-05"
    assert any(start <= early.isoformat() <= end for start, end in asked)
    assert not any(start <= late.isoformat() <= end for start, end in asked)


def test_today_is_never_read(evaluate: Evaluate) -> None:
    just_before_midnight = datetime(2026, 3, 12, 23, 59, tzinfo=UTC)
    for name in ("daily", "weekly", "monthly"):
        for _, end in evaluate(name, now=just_before_midnight):
            assert end < "2026-03-12"


def test_a_missed_evaluation_asks_for_the_same_run_of_costs_alone(company: Workplace) -> None:
    pipeline = replace(company.pipeline, now=lambda: NOW)
    schedule = build_definitions(pipeline).resolve_schedule_def("weekly")
    keys, selections = set(), []
    for missed in (0, 7):
        with dg.DagsterInstance.ephemeral() as instance:
            time = NOW - timedelta(days=missed)
            context = dg.build_schedule_context(instance, scheduled_execution_time=time)
            (request,) = schedule.evaluate_tick(context).run_requests or ()
        keys.add(request.run_key)
        selections.append(request.asset_selection)
    assert len(keys) == 1
    assert selections == [[COSTS_KEY]] * 2


def test_while_the_warehouse_is_held_only_the_window_is_read(
    company: Workplace, evaluate: Evaluate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedules_module, "_PATIENCE_SECONDS", 0.0)
    with company.pipeline.warehouse.writing("building marts"):
        assert evaluate("daily") == [("2026-03-05", "2026-03-11")]


def test_a_week_reads_as_far_back_as_one_call_reaches(evaluate: Evaluate) -> None:
    assert evaluate("weekly") == [("2025-09-13", "2026-03-11")]
    assert evaluate("weekly", start_date=date(2026, 3, 1)) == [("2026-03-01", "2026-03-11")]


def test_a_month_reads_the_one_before(evaluate: Evaluate) -> None:
    assert evaluate("monthly") == [("2026-02-01", "2026-02-28")]
    assert evaluate("monthly", start_date=date(2026, 2, 20)) == [("2026-02-20", "2026-02-28")]
    assert evaluate("monthly", start_date=date(2026, 3, 1)) == []


@pytest.mark.parametrize(
    ("yesterday", "first", "last"),
    [
        (date(2026, 3, 31), date(2026, 3, 1), date(2026, 3, 31)),
        (date(2026, 3, 30), date(2026, 2, 1), date(2026, 2, 28)),
        (date(2024, 3, 14), date(2024, 2, 1), date(2024, 2, 29)),
        (date(2025, 12, 31), date(2025, 12, 1), date(2025, 12, 31)),
        (date(2026, 1, 1), date(2025, 12, 1), date(2025, 12, 31)),
    ],
)
def test_the_month_before_that_of_today(yesterday: date, first: date, last: date) -> None:
    assert previous_month(yesterday) == (first, last)


def test_the_last_days_end_with_yesterday() -> None:
    assert last_days(date(2026, 3, 1), 1) == (date(2026, 3, 1), date(2026, 3, 1))
    assert last_days(date(2026, 3, 1), 2) == (date(2026, 2, 28), date(2026, 3, 1))


def test_ranges_that_are_closest_together_become_one() -> None:
    def days(*numbers: int) -> list[tuple[date, date]]:
        ends = [date(2026, 1, number) for number in numbers]
        return list(zip(ends[::2], ends[1::2], strict=True))

    found = days(1, 2, 5, 5, 7, 9, 20, 20)
    assert joined(found, 4) == found
    assert joined(found, 3) == days(1, 2, 5, 9, 20, 20)
    assert joined(found, 2) == days(1, 9, 20, 20)
    assert joined(found, 1) == days(1, 20)
    assert joined([], 4) == []


def test_what_is_asked_for_runs(company: Workplace, launcher: Launcher) -> None:
    pipeline = replace(company.pipeline, now=lambda: datetime(2026, 1, 21, 6, 30, tzinfo=UTC))
    settings = company.settings.model_copy(
        update={"start_date": date(2026, 1, 19), "restatement_days": 2}
    )
    definitions = build_definitions(replace(pipeline, settings=settings), console_level="CRITICAL")
    context = dg.build_schedule_context(launcher.instance)
    (request,) = definitions.resolve_schedule_def("daily").evaluate_tick(context).run_requests or ()
    result = definitions.resolve_job_def("collect").execute_in_process(
        instance=launcher.instance,
        run_config=request.run_config,
        tags=dict(request.tags),
    )
    assert result.success
    assert launcher.instance.get_materialized_partitions(dg.AssetKey(["raw", "costs"])) == {
        "2026-01-19",
        "2026-01-20",
    }

"""Runs at the same time: each waits for its turn, says for whom, and the figures are right."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import dagster as dg
import pytest

from finops_pipeline.ingestion.outcome import Collection
from finops_pipeline.orchestration import Pipeline
from finops_pipeline.orchestration.instance import open_instance
from finops_pipeline.orchestration.run import DateRange, Runner
from finops_pipeline.warehouse import Warehouse, locks
from finops_pipeline.warehouse.locks import OnWait
from tests.workplace import Workplace

BEFORE = DateRange(date(2026, 1, 27), date(2026, 1, 28))
MEANWHILE = DateRange(date(2026, 1, 28), date(2026, 1, 30))


@pytest.fixture
def instance(
    company: Workplace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dg.DagsterInstance]:
    """As the pipeline configures it: what its own loggers say is among a run's events."""
    monkeypatch.setenv("DAGSTER_HOME", "")
    with open_instance(company.settings.model_copy(update={"data_dir": tmp_path})) as opened:
        yield opened


def published(company: Workplace, days: DateRange) -> Decimal:
    ((cost,),) = company.marts(
        "SELECT coalesce(sum(cost), 0) FROM fct_costs "
        "WHERE is_reported AND cost_date BETWEEN $start AND $end",
        start=days.start,
        end=days.end,
    )
    return Decimal(cost)


def billed(company: Workplace, days: DateRange) -> Decimal:
    return sum(company.truth(days.start, days.end).values(), Decimal(0))


def telling(company: Workplace, on_wait: OnWait) -> Pipeline:
    """The company's pipeline, whose warehouse tells ``on_wait`` for whom it waits."""
    settings = company.settings
    limit = settings.duckdb_memory_limit
    warehouse = Warehouse(settings.data_dir, memory_limit=limit, on_wait=on_wait)
    return replace(company.pipeline, warehouse=warehouse)


def is_about_the_build(sentence: str) -> bool:
    return sentence.startswith(
        f"Waiting for the warehouse: held by process {os.getpid()} (building marts, since "
    )


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has to wait says so at once."""
    monkeypatch.setattr(locks, "_PATIENCE_SECONDS", 0.0)


@pytest.mark.slow
def test_what_is_collected_during_a_build_waits_and_is_in_the_next_one(
    company: Workplace, instance: dg.DagsterInstance, impatient: None
) -> None:
    told: list[str] = []
    waiting = threading.Event()

    def tell(sentence: str) -> None:
        told.append(sentence)
        waiting.set()

    collector = Runner(telling(company, tell), instance)
    collector.collect(BEFORE)
    organization = company.server.scenario.organizations[0].id
    known = billed(company, BEFORE)
    company.server.control.restate(organization, BEFORE.end, "scale", factor=Decimal(2))
    with ThreadPoolExecutor(1) as executor:
        collecting: list[Future[Collection]] = []

        def while_building(_: str) -> None:
            if not collecting:
                collecting.append(executor.submit(collector.collect, MEANWHILE))
                assert waiting.wait(30)

        Runner(replace(company.pipeline, on_node=while_building), instance).build()
        assert published(company, BEFORE) == known
        assert published(company, MEANWHILE) < billed(company, MEANWHILE)
        collecting[0].result()

    assert is_about_the_build(told[0])
    Runner(company.pipeline, instance).build()
    assert published(company, MEANWHILE) == billed(company, MEANWHILE)
    assert published(company, BEFORE) == billed(company, BEFORE) > known
    company.server.control.reset()


def test_for_whom_a_run_waits_is_among_its_events(
    company: Workplace, instance: dg.DagsterInstance, impatient: None
) -> None:
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with company.pipeline.warehouse.writing("building marts"):
            held.set()
            assert release.wait(30)

    def tell(sentence: str) -> None:
        locks.say(sentence)
        release.set()

    with ThreadPoolExecutor(1) as executor:
        holding = executor.submit(hold)
        assert held.wait(30)
        run_id = Runner(telling(company, tell), instance).collect(BEFORE).run_id
        holding.result()
    assert any(is_about_the_build(entry.user_message) for entry in instance.all_logs(run_id))


def test_how_far_it_is_is_among_a_runs_events(
    company: Workplace, instance: dg.DagsterInstance
) -> None:
    run_id = Runner(company.pipeline, instance).collect(BEFORE).run_id
    said = [entry.user_message for entry in instance.all_logs(run_id)]
    assert sum(text.startswith("3 of 3 teams, 66 of 66 buckets, ") for text in said) == 1

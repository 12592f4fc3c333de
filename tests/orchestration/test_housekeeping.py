"""What housekeeping deletes, and what it must not."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from finops_pipeline.ingestion.tables import RAW_TABLES
from finops_pipeline.orchestration import build_definitions, housekeeping
from finops_pipeline.orchestration.asset_keys import PUBLISHED_KEY
from finops_pipeline.orchestration.housekeeping import Swept, sweep
from finops_pipeline.orchestration.instance import open_instance
from finops_pipeline.orchestration.run import DateRange, Runner
from tests.workplace import Workplace

COSTS = dg.AssetKey(["raw", "costs"])
NOTHING = Swept(
    rows=dict.fromkeys(RAW_TABLES, 0),
    runs=0,
    runs_kept=0,
    folders=0,
    processes=0,
)


class House:
    """A company's pipeline with an instance on disk, and a clock that can be put forward."""

    def __init__(self, company: Workplace, instance: dg.DagsterInstance) -> None:
        self.company = company
        self.instance = instance
        self.runner = Runner(company.pipeline, instance)

    def later(self, *, days: int = 0, hours: int = 0, dry_run: bool = False) -> Swept:
        """Sweep at a later time."""
        now = datetime.now(UTC) + timedelta(days=days, hours=hours, minutes=1)
        pipeline = replace(self.company.pipeline, now=lambda: now)
        return sweep(pipeline, self.instance, dry_run=dry_run)

    def collect(self, first: int, last: int) -> str:
        days = DateRange(date(2026, 1, first), date(2026, 1, last))
        return self.runner.collect(days).run_id

    def green(self) -> set[str]:
        return self.instance.get_materialized_partitions(COSTS)

    def said_by_checks(self) -> list[tuple[str, str]]:
        """Check and run of each evaluation that Dagster keeps, the newest last."""
        index = Path(self.instance.root_directory) / "history" / "runs" / "index.db"
        with closing(sqlite3.connect(index)) as connection:
            return connection.execute(
                "SELECT asset_key || check_name, run_id FROM asset_check_executions ORDER BY id"
            ).fetchall()


@pytest.fixture
def house(company: Workplace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    monkeypatch.setenv("DAGSTER_HOME", "")
    settings = company.settings.model_copy(update={"data_dir": tmp_path})
    with open_instance(settings) as instance:
        yield House(company, instance)


@pytest.mark.slow
def test_old_runs_go_and_no_day_turns_white(house: House) -> None:
    oldest = house.collect(13, 16)
    newer = house.collect(13, 15)
    newest = house.collect(13, 15)
    house.runner.build()
    (build,) = house.instance.get_runs(dg.RunsFilter(job_name="build"))
    home = Path(house.instance.root_directory)
    assert (home / "history" / "runs" / f"{newer}.db").exists()

    green = house.green()
    assert house.later(days=89) == NOTHING
    dry = house.later(days=90, dry_run=True)
    assert house.instance.get_runs_count() == 4
    assert house.later(days=90) == dry == replace(NOTHING, runs=1, runs_kept=3)

    # The oldest still says what is known of the fourth day.
    assert set(house.instance.get_run_ids()) == {oldest, newest, build.run_id}
    assert house.green() == green == {f"2026-01-{number}" for number in range(13, 17)}
    assert house.instance.get_latest_materialization_event(PUBLISHED_KEY) is not None
    assert list((home / "history" / "runs").glob(f"{newer}.db*")) == []
    told = house.instance.fetch_materializations(COSTS, limit=100).records
    assert {record.run_id for record in told} == {oldest, newest}
    assert {run for _, run in house.said_by_checks()} == {oldest, newest, build.run_id}
    assert house.later(days=90) == replace(NOTHING, runs_kept=3)


def test_the_newest_word_of_each_check_stays(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.collect(13, 13)
    house.collect(14, 14)
    said = house.said_by_checks()
    newest = dict(said)
    assert len(said) > len(newest) > 0

    monkeypatch.setattr(housekeeping, "_runs_with_newest_events", lambda _: set())
    assert house.later(days=90).runs == 2
    assert sorted(house.said_by_checks()) == sorted(newest.items())


def test_a_run_under_way_is_kept_however_old(house: House) -> None:
    run = dg.DagsterRun(job_name="collect", status=dg.DagsterRunStatus.STARTED)
    house.instance.add_run(run)
    assert house.later(days=900) == NOTHING
    house.instance.report_run_failed(run)
    assert house.later(days=900) == replace(NOTHING, runs=1)


def test_rows_of_loads_that_never_completed_go_after_a_day(house: House) -> None:
    house.collect(17, 17)
    company = house.company
    began = datetime.now(UTC).timestamp()
    with company.pipeline.warehouse.connect() as connection:
        ((before,),) = connection.execute("SELECT count(*) FROM raw.collections").fetchall()
        for table in ("costs", "collections"):
            connection.execute(
                f"INSERT INTO raw.{table} SELECT * REPLACE ($load AS _dlt_load_id) "
                f"FROM raw.{table} LIMIT 3",
                {"load": str(began)},
            )
    assert house.later(hours=23) == NOTHING
    dry = house.later(hours=24, dry_run=True)
    assert dry.rows == dict.fromkeys(RAW_TABLES, 0) | {"costs": 3, "collections": 3}
    assert house.later(hours=24) == dry
    assert house.later(hours=24) == NOTHING
    assert company.raw("SELECT count(*) FROM raw.collections") == [(before,)]
    assert company.raw(
        "SELECT count(*) FROM raw.costs WHERE _dlt_load_id NOT IN "
        "(SELECT load_id FROM raw._dlt_loads)"
    ) == [(0,)]


def test_what_dead_processes_left_goes(house: House) -> None:
    scratch = house.company.settings.data_dir / "tmp"
    dead = scratch / "4194305-left"  # above the largest process id there is
    dead.mkdir(parents=True)
    sign = Path(house.instance.root_directory) / "processes" / "4194305-dead.lock"
    house.collect(18, 18)
    assert not dead.exists(), "each collection removes those of its own kind"
    dead.mkdir()
    sign.touch()
    with house.company.pipeline.warehouse.scratch_folder() as mine:
        dead.mkdir(exist_ok=True)
        assert house.later(dry_run=True) == replace(NOTHING, folders=1, processes=1)
        assert house.later() == replace(NOTHING, folders=1, processes=1)
        assert mine.exists()
    assert not dead.exists()
    assert not sign.exists()


def test_the_job_says_what_it_did(house: House) -> None:
    definitions = build_definitions(house.company.pipeline, console_level="CRITICAL")
    result = definitions.resolve_job_def("housekeeping").execute_in_process(instance=house.instance)
    assert result.success
    said = [entry.user_message for entry in house.instance.all_logs(result.run_id)]
    assert any(text.startswith("Deleted 0 rows of incomplete loads, 0 old runs") for text in said)

"""A range becomes several loads, each visible on its own; a load that broke off never was."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from finops_pipeline.ingestion import collect
from finops_pipeline.ingestion.batches import Batch
from finops_pipeline.ingestion.loading import Loader, create_raw_tables
from finops_pipeline.ingestion.outcome import Progress
from finops_pipeline.ingestion.tables import RAW_TABLES
from finops_pipeline.openai_admin import AdminClient
from finops_pipeline.simulator import Fault
from finops_pipeline.warehouse import Warehouse
from tests.ingestion.company import DIGITAL, FIRST, LABS, SimulatedCompany

LAST = date(2026, 3, 31)
FIRST_PAGE = 31


@pytest.fixture
def quarter(company: SimulatedCompany, monkeypatch: pytest.MonkeyPatch) -> SimulatedCompany:
    """Every page becomes a load: 31 days, then 59."""
    monkeypatch.setattr(collect, "_LOAD_ROWS", 1)
    company.server.control.set_clock(datetime(2026, 4, 15, 9, tzinfo=UTC))
    return company


def complete_loads(company: SimulatedCompany) -> int:
    ((count,),) = company.raw("SELECT count(*) FROM raw._dlt_loads WHERE status = 0")
    return int(count)


def days_landed(company: SimulatedCompany) -> int:
    ((days,),) = company.raw("SELECT count(DISTINCT cost_date) FROM raw.collections")
    return int(days)


def test_each_load_is_visible_while_the_next_is_read(quarter: SimulatedCompany) -> None:
    before = complete_loads(quarter)
    visible: list[tuple[int, int]] = []

    def look(progress: Progress) -> None:
        if progress.loads and not visible:
            visible.append((days_landed(quarter), complete_loads(quarter) - before))

    collection = quarter.collect(FIRST, LAST, ["search"], on_progress=look)

    assert visible == [(FIRST_PAGE, 1)]
    assert collection.loads == complete_loads(quarter) - before == 2
    assert quarter.seen("search") == quarter.truth(DIGITAL, FIRST, LAST)


def test_a_load_also_ends_by_age(
    quarter: SimulatedCompany, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was read becomes visible while the next answer is still awaited."""
    monkeypatch.setattr(collect, "_LOAD_ROWS", 1_000_000)
    monkeypatch.setattr(collect, "_LOAD_SECONDS", 0.05)
    quarter.server.control.plant_fault(Fault(kind="slow", endpoint="costs", nth=2, seconds=1.5))
    loads_by_then: dict[int, int] = {}

    def look(progress: Progress) -> None:
        loads_by_then.setdefault(progress.buckets_done, progress.loads)

    quarter.collect(FIRST, LAST, ["search"], on_progress=look)
    assert loads_by_then[90] > loads_by_then[FIRST_PAGE]
    assert quarter.seen("search") == quarter.truth(DIGITAL, FIRST, LAST)


@pytest.mark.parametrize(
    ("stop", "surfaces"), [(KeyboardInterrupt, KeyboardInterrupt), (RuntimeError, Exception)]
)
def test_a_stopped_collection_keeps_what_was_visible(
    quarter: SimulatedCompany, stop: type[BaseException], surfaces: type[BaseException]
) -> None:
    def interrupt(progress: Progress) -> None:
        if progress.loads == 1 and progress.buckets_done > FIRST_PAGE:
            raise stop

    with pytest.raises(surfaces):
        quarter.collect(FIRST, LAST, ["search"], on_progress=interrupt)

    first_page = quarter.truth(DIGITAL, FIRST, FIRST + timedelta(days=FIRST_PAGE - 1))
    assert quarter.seen("search") == first_page
    assert days_landed(quarter) == FIRST_PAGE
    assert list((quarter.settings.data_dir / "tmp").iterdir()) == []

    rows = quarter.count("costs")
    quarter.server.control.reset_requests()
    again = quarter.collect(FIRST, LAST, ["search"])
    assert quarter.seen("search") == quarter.truth(DIGITAL, FIRST, LAST)
    changed = [bucket.day for bucket in again.buckets if bucket.changed]
    assert changed == [FIRST + timedelta(days=number) for number in range(FIRST_PAGE, 90)]
    assert again.rows_landed == quarter.count("costs") - rows
    requests = [r for r in quarter.server.control.requests() if r.path.endswith("/costs")]
    assert len(requests) == 1


def test_a_stopped_collection_does_not_wait_for_pages_that_nobody_takes(
    quarter: SimulatedCompany,
) -> None:
    """More pages than the queue between reading and loading holds."""
    quarter.server.control.set_wire(clamp_limit_to_31=True)
    calls = 0

    def interrupt(_: Progress) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        quarter.collect(FIRST, LAST, ["search"], on_progress=interrupt)
    assert quarter.count("collections") == 0


def test_an_exit_in_a_teams_thread_ends_the_collection(company: SimulatedCompany) -> None:
    def make_client(team_id: str, api_key: Callable[[], str]) -> AdminClient:
        if team_id == "support":
            raise SystemExit
        return company.client(team_id, api_key)

    with pytest.raises(SystemExit):
        company.collect(FIRST, make_client=make_client)
    assert company.count("collections") == 0


def test_rows_of_an_incomplete_load_never_happened(company: SimulatedCompany) -> None:
    company.collect(FIRST, teams=["search", "research"])
    company.server.control.restate(DIGITAL, FIRST, "empty")
    before = company.seen("search")
    company.collect(FIRST, teams=["search"])
    with company.warehouse.connect() as connection:
        connection.execute(
            "DELETE FROM raw._dlt_loads WHERE load_id = "
            "(SELECT arg_max(_dlt_load_id, collected_at) FROM raw.collections)"
        )
    assert company.seen("search") == before != {}

    # What the lost load said about the day is not known either: it is said again.
    again = company.collect(FIRST, teams=["search"])
    assert [bucket.changed for bucket in again.buckets] == [True]
    assert company.seen("search") == {}

    # A load that landed rows and was lost lands them again, once.
    with company.warehouse.connect() as connection:
        connection.execute("DELETE FROM raw._dlt_loads")
    assert company.seen("research") == {}
    company.collect(FIRST, teams=["research"])
    assert company.seen("research") == company.truth(LABS, FIRST)


def test_nobody_to_collect_leaves_nothing_behind(company: SimulatedCompany) -> None:
    company.registry.deactivate_key("research")
    collection = company.collect(FIRST, teams=["research"])
    assert set(collection.failed_teams) == {"research"}
    assert company.count("costs") == 0
    assert list((company.settings.data_dir / "tmp").iterdir()) == []


def test_raw_tables_of_an_older_state_get_the_columns_that_they_lack(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path / "data", memory_limit="512MB")
    warehouse.ensure_folder()
    later = {
        "requests": {"input_image_tokens", "input_cached_image_tokens", "output_image_tokens"},
        "request_files": {"lines"},
    }
    older = {
        name: pa.schema(field for field in schema if field.name not in later.get(name, ()))
        for name, schema in RAW_TABLES.items()
    }
    entry = {"file_name": "a.jsonl", "run_id": "run", "landed_at": datetime(2026, 3, 1, tzinfo=UTC)}
    counted = dict.fromkeys(
        ("row_count", "new_count", "duplicate_count", "conflict_count", "rejected_count"), 0
    )
    landed = pa.Table.from_pylist(
        [entry | counted | {"status": "ok"}], schema=older["request_files"]
    )
    with warehouse.scratch_folder() as folder:
        Loader(warehouse, folder, tables=older).load([Batch((("request_files", landed),))])
    create_raw_tables(warehouse)
    create_raw_tables(warehouse)
    with duckdb.connect(str(warehouse.path)) as connection:
        columns = connection.execute(
            "SELECT table_name, column_name, data_type FROM duckdb_columns() "
            "WHERE schema_name = 'raw'"
        ).fetchall()
        (kept,) = connection.execute("SELECT file_name, lines FROM raw.request_files").fetchall()
        ((loads,),) = connection.execute("SELECT count(*) FROM raw._dlt_loads").fetchall()
    added = {(name, column) for name, names in later.items() for column in names}
    assert {(name, column): kind for name, column, kind in columns if (name, column) in added} == {
        each: "VARCHAR" if "lines" in each else "BIGINT" for each in added
    }
    assert kept == ("a.jsonl", None)
    assert loads == 2


def test_raw_tables_are_made_empty_and_once(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path / "data", memory_limit="512MB")
    create_raw_tables(warehouse)
    create_raw_tables(warehouse)
    with duckdb.connect(str(warehouse.path)) as connection:
        tables: dict[str, Any] = dict(
            connection.execute(
                "SELECT table_name, estimated_size FROM duckdb_tables() WHERE schema_name = 'raw'"
            ).fetchall()
        )
    assert {name: tables[name] for name in ("costs", "collections", "openai_projects")} == {
        "costs": 0,
        "collections": 0,
        "openai_projects": 0,
    }
    assert tables["_dlt_loads"] == 1

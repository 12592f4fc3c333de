"""What is published is always one complete build, whatever else lies or runs around it."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from finops_pipeline.errors import FinopsError
from finops_pipeline.warehouse import publishing
from tests.warehouse.conftest import StartProgram

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = NOON + timedelta(minutes=1)

WRITE_AND_BE_KILLED = """
import os, sys
import duckdb
connection = duckdb.connect(sys.argv[1])
connection.execute("SET checkpoint_threshold = '1GB'")
connection.execute(sys.argv[2])
os._exit(9)
"""
WRITE_AND_STAY = """
import sys
import duckdb
connection = duckdb.connect(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
connection.execute("UPDATE figures SET cost = 666")
connection.execute("CHECKPOINT")
print("written", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def marts(tmp_path: Path) -> Path:
    return tmp_path / "marts.duckdb"


def build(marts: Path, run_id: str, cost: int, built_at: datetime = NOON) -> None:
    """A sealed build of one figure."""
    with duckdb.connect(str(publishing.start_building(marts))) as connection:
        connection.execute(
            "CREATE OR REPLACE TABLE rpt_build AS "
            "SELECT $run_id AS run_id, $built_at::TIMESTAMPTZ AS built_at",
            {"run_id": run_id, "built_at": built_at},
        )
        connection.execute("CREATE OR REPLACE TABLE figures AS SELECT ? AS cost", [cost])
    publishing.finish_building(marts, run_id)


def published(
    marts: Path, run_id: str, cost: int, built_at: datetime = NOON
) -> publishing.Published:
    build(marts, run_id, cost, built_at)
    return publishing.publish(marts, run_id)


def cost(marts: Path) -> int:
    with duckdb.connect(str(marts), read_only=True) as connection:
        return int(connection.execute("SELECT cost FROM figures").fetchall()[0][0])


def test_a_build_becomes_the_published_file(marts: Path) -> None:
    result = published(marts, "one", 1)
    assert result == publishing.Published(
        run_id="one",
        built_at=NOON,
        superseded=False,
        rows={"figures": 1, "rpt_build": 1},
        size_bytes=marts.stat().st_size,
    )
    assert stat.S_IMODE(marts.stat().st_mode) == 0o444
    assert cost(marts) == 1
    assert list(marts.parent.iterdir()) == [marts]


def test_a_reader_goes_on_reading_what_it_opened(marts: Path) -> None:
    published(marts, "one", 1)
    with duckdb.connect(str(marts), read_only=True) as reader:
        published(marts, "two", 2)
        assert reader.execute("SELECT cost FROM figures").fetchall() == [(1,)]
    assert cost(marts) == 2


def test_a_build_starts_from_what_is_published(marts: Path) -> None:
    published(marts, "one", 1)
    building = publishing.start_building(marts)
    with duckdb.connect(str(building)) as connection:
        connection.execute("UPDATE figures SET cost = 2")
    assert cost(building) == 2
    assert cost(marts) == 1


@pytest.mark.slow
def test_what_an_earlier_build_left_is_thrown_away(marts: Path) -> None:
    published(marts, "one", 1)
    building = publishing.start_building(marts)
    subprocess.run(
        [sys.executable, "-c", WRITE_AND_BE_KILLED, building, "UPDATE figures SET cost = 666"],
        check=False,
    )
    assert building.with_name(building.name + ".wal").exists()
    building = publishing.start_building(marts)
    assert cost(building) == 1
    assert not building.with_name(building.name + ".wal").exists()

    building.write_text("half a copy")
    marts.unlink()
    assert not publishing.start_building(marts).exists()


def test_an_older_build_gives_way_to_a_newer_one(marts: Path) -> None:
    build(marts, "early", 1, NOON)
    published(marts, "late", 2, LATER)
    result = publishing.publish(marts, "early")
    assert result.superseded
    assert (result.run_id, result.built_at) == ("late", LATER)
    assert cost(marts) == 2
    assert list(marts.parent.iterdir()) == [marts]


def test_builds_wait_for_each_other_s_publishing(marts: Path) -> None:
    build(marts, "early", 1, NOON)
    build(marts, "late", 2, LATER)
    assert not publishing.publish(marts, "early").superseded
    assert not publishing.publish(marts, "late").superseded
    assert cost(marts) == 2


def test_a_run_without_a_build_is_told(marts: Path) -> None:
    published(marts, "one", 1)
    with pytest.raises(FinopsError, match="Run two has no complete build") as caught:
        publishing.publish(marts, "two")
    assert "`finops build`" in caught.value.fix
    assert cost(marts) == 1


def test_a_build_under_another_name_is_refused(marts: Path) -> None:
    build(marts, "one", 1)
    marts.with_name("marts.ready.one.duckdb").rename(marts.with_name("marts.ready.two.duckdb"))
    with pytest.raises(FinopsError, match="run two carries the record of run one"):
        publishing.publish(marts, "two")
    assert not marts.exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    "statement", ["UPDATE figures SET cost = 666", "DROP TABLE rpt_build", "DELETE FROM rpt_build"]
)
def test_a_killed_writer_changes_no_published_figure(marts: Path, statement: str) -> None:
    published(marts, "one", 1)
    marts.chmod(0o644)
    subprocess.run([sys.executable, "-c", WRITE_AND_BE_KILLED, marts, statement], check=False)
    wal = marts.with_name("marts.duckdb.wal")
    assert wal.exists()
    wal.with_name("marts.duckdb.wal.checkpoint").write_bytes(wal.read_bytes())

    assert published(marts, "two", 2, LATER).run_id == "two"

    assert cost(marts) == 2
    assert list(marts.parent.iterdir()) == [marts]


@pytest.mark.slow
def test_a_writer_that_stays_neither_stops_publishing_nor_changes_it(
    marts: Path, start_program: StartProgram
) -> None:
    published(marts, "one", 1)
    marts.chmod(0o644)
    writer = start_program(WRITE_AND_STAY, marts)
    published(marts, "two", 2, LATER)
    assert writer.stdin is not None
    assert writer.stdout is not None
    writer.stdin.write("\n")
    writer.stdin.flush()
    assert writer.stdout.readline() == "written\n"
    assert cost(marts) == 2
    writer.stdin.close()
    writer.wait(5)
    assert cost(marts) == 2


@pytest.mark.slow
def test_an_older_build_gives_way_also_while_a_writer_stays(
    marts: Path, start_program: StartProgram
) -> None:
    build(marts, "early", 1, NOON)
    published(marts, "late", 2, LATER)
    marts.chmod(0o644)
    start_program(WRITE_AND_STAY, marts)
    result = publishing.publish(marts, "early")
    assert (result.superseded, result.run_id) == (True, "late")


def test_whatever_lies_in_the_place_is_replaced(marts: Path) -> None:
    build(marts, "one", 1)
    marts.write_text("no database")
    publishing.publish(marts, "one")
    assert cost(marts) == 1


def test_builds_that_nobody_published_are_removed_after_a_while(marts: Path) -> None:
    for name in ("killed", "just-built"):
        build(marts, name, 1)
    killed = marts.with_name("marts.ready.killed.duckdb")
    long_ago = time.time() - 2 * 3600
    os.utime(killed, (long_ago, long_ago))
    published(marts, "one", 1)
    assert set(marts.parent.iterdir()) == {
        marts,
        marts.with_name("marts.ready.just-built.duckdb"),
    }


def begun(marts: Path, state: str, now: datetime) -> bool:
    """Whether a build of that state of the project begins with an empty file."""
    publishing.start_building(marts)
    publishing.begin_anew_if_due(marts, state=state, now=now)
    with duckdb.connect(str(publishing.building_path(marts)), read_only=True) as connection:
        tables = connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()
    return tables == [("beginning",)]


def test_a_build_continues_what_the_same_project_published_within_a_week(marts: Path) -> None:
    assert begun(marts, "one", NOON)
    with duckdb.connect(str(publishing.building_path(marts))) as connection:
        connection.execute("CREATE TABLE figures AS SELECT 1 AS cost")
        connection.execute("CREATE TABLE rpt_build AS SELECT 'one' AS run_id, now() AS built_at")
    publishing.finish_building(marts, "one")
    publishing.publish(marts, "one")

    almost_a_week = NOON + timedelta(days=7, seconds=-1)
    assert not begun(marts, "one", almost_a_week)
    assert begun(marts, "another", almost_a_week)
    assert begun(marts, "one", NOON + timedelta(days=7))


def test_a_file_that_nobody_can_continue_is_no_beginning(marts: Path) -> None:
    marts.write_text("no database")
    assert begun(marts, "one", NOON)
    marts.unlink()
    published(marts, "of-an-earlier-version", 1)
    assert begun(marts, "one", NOON)

"""Opening the warehouse's file and folder, and the words when that cannot be done."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dlt
import duckdb
import pyarrow as pa
import pytest

from finops_pipeline.errors import FinopsError
from finops_pipeline.settings import ExplicitSettings
from finops_pipeline.warehouse import Warehouse
from tests.warehouse.conftest import StartProgram

OPEN_FOR_EVER = """
import sys
import duckdb
with duckdb.connect(sys.argv[1], read_only=sys.argv[2:] == ["read-only"]):
    print("ready", flush=True)
    sys.stdin.read()
"""

Setting = tuple[Any, ...]
OURS = {
    "memory_limit": "95.3 MiB",
    "TimeZone": "UTC",
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}


@contextmanager
def without_privileges() -> Iterator[None]:
    """As somebody whom file modes bind, also where the tests run as root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_nothing_is_touched_before_it_is_used(tmp_path: Path) -> None:
    settings = ExplicitSettings(data_dir=tmp_path / "data", duckdb_memory_limit="3GB")
    warehouse = Warehouse.from_settings(settings)
    assert warehouse.memory_limit == "3GB"
    assert (warehouse.path, warehouse.marts_path) == (
        settings.warehouse_path,
        settings.marts_path,
    )
    assert not settings.data_dir.exists()


def test_a_file_in_the_place_of_the_folder_is_told(warehouse: Warehouse) -> None:
    warehouse.data_dir.write_text("")
    sentence = f"The data directory {warehouse.data_dir} cannot be written: File exists."
    with pytest.raises(FinopsError) as caught, warehouse.writing("loading"):
        pytest.fail("there is no folder")
    assert caught.value.message == sentence
    assert "FINOPS_DATA_DIR" in caught.value.fix
    with pytest.raises(FinopsError) as caught, warehouse.scratch_folder():
        pytest.fail("there is no folder")
    assert caught.value.message == sentence


def test_a_folder_below_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    warehouse = Warehouse(tmp_path / "file" / "data", memory_limit="100MB")
    with pytest.raises(FinopsError, match=r"cannot be written: Not a directory\."):
        warehouse.ensure_folder()


@pytest.mark.parametrize("exists", [True, False])
def test_a_folder_that_may_not_be_written_is_told(tmp_path: Path, exists: bool) -> None:
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o555)
    data = folder if exists else folder / "data"
    warehouse = Warehouse(data, memory_limit="100MB")
    for use in (warehouse.writing("loading"), warehouse.scratch_folder()):
        with (
            without_privileges(),
            pytest.raises(FinopsError, match=r"(?i)cannot be written: permission denied\."),
            use,
        ):
            pytest.fail("it could be written")
    assert list(folder.iterdir()) == []


def test_connections_have_our_settings(warehouse: Warehouse) -> None:
    with warehouse.writing("looking"), warehouse.connect() as connection:
        for name, value in OURS.items():
            assert connection.execute(f"SELECT current_setting('{name}')").fetchall() == [(value,)]


def test_dlt_loads_with_our_settings(warehouse: Warehouse, tmp_path: Path) -> None:
    warehouse.ensure_folder()
    pipeline = dlt.pipeline(
        "finops",
        pipelines_dir=str(tmp_path / "dlt"),
        destination=warehouse.destination(),
        dataset_name="raw",
    )
    pipeline.run(pa.table({"x": [1]}), table_name="t")
    with pipeline.sql_client() as client:
        for name, value in OURS.items():
            assert client.execute_sql(f"SELECT current_setting('{name}')") == [(value,)]


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["read-write", "read-only"])
def test_a_client_that_stays_is_named(
    warehouse: Warehouse, told: list[str], start_program: StartProgram, mode: str
) -> None:
    with warehouse.writing("making the file"), warehouse.connect():
        pass
    client = start_program(OPEN_FOR_EVER, warehouse.path, mode)
    with (
        pytest.raises(FinopsError) as caught,
        warehouse.writing("loading"),
        warehouse.connect(),
    ):
        pytest.fail("two have it open")
    assert f"is open in process {client.pid} (" in caught.value.message
    assert "has kept it for 0 s" in caught.value.message
    assert "marts.duckdb read-only" in caught.value.fix
    assert told == [], "nobody waited"


@pytest.mark.slow
def test_a_client_that_leaves_is_waited_for(tmp_path: Path, start_program: StartProgram) -> None:
    told: list[str] = []

    def ask_it_to_leave(sentence: str) -> None:
        told.append(sentence)
        assert client.stdin is not None
        client.stdin.close()
        client.wait(5)

    warehouse = Warehouse(tmp_path, memory_limit="100MB", client_timeout=5, on_wait=ask_it_to_leave)
    with duckdb.connect(str(warehouse.path)) as connection:
        connection.execute("CREATE TABLE t AS SELECT 7 AS x")
    client = start_program(OPEN_FOR_EVER, warehouse.path)
    with warehouse.writing("loading"), warehouse.connect() as connection:
        assert connection.execute("SELECT x FROM t").fetchall() == [(7,)]
    assert len(told) == 1
    assert told[0].startswith(f"Waiting for warehouse.duckdb: open in process {client.pid} (")


@pytest.mark.parametrize("what", ["text", "folder"])
def test_what_is_no_database_is_told(warehouse: Warehouse, what: str) -> None:
    warehouse.ensure_folder()
    if what == "text":
        warehouse.path.write_text("not a database" * 1000)
    else:
        warehouse.path.mkdir()
    with pytest.raises(FinopsError) as caught, warehouse.connect():
        pytest.fail("it was opened")
    assert str(caught.value).startswith(f"{warehouse.path} cannot be opened: ")
    assert "\n" not in str(caught.value)


def test_a_connection_of_this_very_process_is_told(warehouse: Warehouse) -> None:
    warehouse.ensure_folder()
    with (
        duckdb.connect(str(warehouse.path)),
        pytest.raises(FinopsError, match="cannot be opened: Connection Error"),
        warehouse.connect(),
    ):
        pytest.fail("it was opened")


def test_raw_tables_are_replaced_all_or_none(warehouse: Warehouse) -> None:
    one, two = pa.table({"x": [1]}), pa.table({"x": [2]})
    with warehouse.writing("landing the registry"):
        warehouse.replace_raw_tables({"teams": one, "keys": one})
        warehouse.replace_raw_tables({"teams": two, "keys": two})
        with pytest.raises(duckdb.Error):
            warehouse.replace_raw_tables({"teams": one, "keys": object()})
        with warehouse.connect() as connection:
            for table in ("teams", "keys"):
                assert connection.execute(f"SELECT x FROM raw.{table}").fetchall() == [(2,)]


def test_scratch_folders_end_with_their_run(warehouse: Warehouse) -> None:
    with warehouse.scratch_folder() as one, warehouse.scratch_folder() as other:
        assert one != other
        (one / "file").write_text("x")
    with pytest.raises(ZeroDivisionError), warehouse.scratch_folder():
        _ = 1 / 0
    assert list((warehouse.data_dir / "tmp").iterdir()) == []


@pytest.mark.slow
def test_scratch_folders_of_dead_processes_are_removed(
    warehouse: Warehouse, start_program: StartProgram
) -> None:
    died = start_program("print('ready')")
    died.wait()
    root = warehouse.data_dir / "tmp"
    dead, stray = root / f"{died.pid}-a", root / "stray"
    alive, ours = root / f"{os.getppid()}-b", root / f"{os.getpid()}-c"
    for folder in (dead, stray, alive, ours):
        folder.mkdir(parents=True)
        tempfile.mkstemp(dir=folder)
    with warehouse.scratch_folder() as scratch:
        assert set(root.iterdir()) == {alive, ours, scratch}

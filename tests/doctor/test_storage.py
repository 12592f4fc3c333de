"""The places that a run writes, and what is published."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections import namedtuple
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from finops_pipeline.doctor import Status
from finops_pipeline.warehouse import Warehouse
from tests.doctor.conftest import Change, Installation

BUILD = "CREATE TABLE rpt_build AS SELECT TIMESTAMPTZ '{}' AS built_at, {} AS newest_complete_date;"
UNALLOCATED = """
CREATE TABLE rpt_unallocated_costs (
    cost_date DATE, organization_id VARCHAR, openai_project_id VARCHAR,
    openai_project_name VARCHAR, currency VARCHAR, cost DECIMAL(38, 18)
);
"""

HOLDER = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1])
print("open", flush=True)
sys.stdin.read()
"""


@contextmanager
def held_by_a_stranger(path: Path) -> Iterator[None]:
    """Another program has a DuckDB file open."""
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"open\n"
        try:
            yield
        finally:
            holder.communicate()


@pytest.mark.parametrize(
    ("age", "status"), [(timedelta(hours=3), "ok"), (timedelta(days=2), "warn")]
)
def test_the_age_of_what_is_published(
    installation: Installation, age: timedelta, status: str
) -> None:
    built_at = datetime.now(UTC) - age
    installation.publish(BUILD.format(built_at.isoformat(), "DATE '2026-03-01'") + UNALLOCATED)
    found = installation.checks()["published", None]
    assert found.status == status
    assert "complete to 2026-03-01" in found.detail


def test_a_damaged_published_file_is_told(installation: Installation) -> None:
    installation.settings.marts_path.write_bytes(b"no database" * 100)
    checks = installation.checks()
    assert checks["published", None].status is Status.FAIL
    assert "finops build" in checks["published", None].fix


def test_spend_of_unregistered_projects_is_told(installation: Installation) -> None:
    installation.publish(
        BUILD.format(datetime.now(UTC).isoformat(), "NULL")
        + UNALLOCATED
        + """
        INSERT INTO rpt_unallocated_costs VALUES
            ('2026-03-01', 'org', 'proj_a', 'A', 'USD', 1.25),
            ('2026-03-02', 'org', 'proj_a', 'A', 'USD', 1),
            ('2026-03-01', 'org', NULL, NULL, 'USD', 99),
            ('2026-03-01', 'org', 'proj_b', 'B', 'USD', 0)
        """
    )
    found = installation.checks()["projects_registered", None]
    assert found.status is Status.WARN
    assert "1 OpenAI project has spend without being registered" in found.detail
    assert "proj_a (2.25 USD)" in found.detail
    assert "proj_b" not in found.detail


def test_every_project_registered_is_well(installation: Installation) -> None:
    installation.publish(BUILD.format(datetime.now(UTC).isoformat(), "NULL") + UNALLOCATED)
    assert installation.checks()["projects_registered", None].status is Status.OK


def test_the_warehouse_is_looked_into_and_not_written(installation: Installation) -> None:
    path = installation.settings.warehouse_path
    duckdb.connect(str(path)).close()
    before = path.read_bytes(), path.stat().st_mtime_ns
    assert installation.checks()["warehouse_writable", None].status is Status.OK
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before


def test_a_warehouse_at_work_is_no_failure(installation: Installation) -> None:
    duckdb.connect(str(installation.settings.warehouse_path)).close()
    with Warehouse.from_settings(installation.settings).writing("building marts"):
        found = installation.checks()["warehouse_writable", None]
    assert found.status is Status.WARN
    assert "building marts" in found.detail
    assert "after 1 s of waiting" in found.detail


def test_a_warehouse_that_another_program_keeps_open_is_told(installation: Installation) -> None:
    path = installation.settings.warehouse_path
    with held_by_a_stranger(path):
        found = installation.checks()["warehouse_writable", None]
    assert found.status is Status.FAIL
    assert "Close the program" in found.fix


def test_a_data_directory_that_is_a_file_is_told(
    installation: Installation, change: Change, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    change(data_dir=tmp_path / "file" / "data", registry_url=None)
    found = installation.checks()["warehouse_writable", None]
    assert found.status is Status.FAIL


def test_an_unusable_dagster_home_is_told(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", "/nowhere/at/all")
    found = installation.checks()["dagster_storage", None]
    assert found.status is Status.FAIL
    assert "/nowhere/at/all" in found.detail


def test_dagsters_storage_is_asked(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    assert installation.checks()["dagster_storage", None].status is Status.OK

    (tmp_path / "history").mkdir(exist_ok=True)
    (tmp_path / "history" / "runs.db").write_bytes(b"no database" * 1000)
    found = installation.checks()["dagster_storage", None]
    assert found.status is Status.FAIL
    assert f"Dagster's storage in {tmp_path} does not answer" in found.detail


@pytest.mark.parametrize(("free", "status"), [(10**8, "fail"), (10**9, "warn"), (10**11, "ok")])
def test_free_space(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, free: int, status: str
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**12, 10**12 - free, free))
    assert installation.checks()["disk_space", None].status == status

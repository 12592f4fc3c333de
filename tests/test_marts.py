"""The marts from Python: exact, current, and read-only."""

from __future__ import annotations

import shutil
import subprocess
import sys
from datetime import date
from decimal import Decimal
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow as pa
import pytest

from finops_pipeline import marts
from finops_pipeline.errors import FinopsError, UsageError
from tests.cli.marts_fixtures import publish

EXACT = Decimal("10.000000000000000001")

DELETE_AND_DIE = """
import duckdb, os, sys
connection = duckdb.connect(sys.argv[1])
connection.execute("DELETE FROM dim_teams")
os._exit(9)
"""


@pytest.fixture
def published(tmp_path: Path) -> Path:
    return publish(tmp_path / "data" / "marts.duckdb")


def test_money_stays_decimal_through_sums_and_groups(published: Path) -> None:
    frame = marts.read("fct_team_daily_costs", path=published)

    assert frame["cost"].dtype == pd.ArrowDtype(pa.decimal128(38, 18))
    assert frame["cost_date"].dtype == pd.ArrowDtype(pa.date32())
    of_web = frame[frame["team_id"] == "web"]
    assert of_web["cost"].sum() == EXACT + Decimal("1234.750000000000000001") + Decimal("0.003")
    grouped = frame.groupby(["cost_date", "team_id"])["cost"].sum()
    assert grouped.dtype == pd.ArrowDtype(pa.decimal128(38, 18))
    assert grouped[date(2026, 3, 1), "web"] == EXACT


def test_times_are_utc_and_json_is_text(published: Path) -> None:
    build = marts.read("rpt_build", path=published)
    assert build["built_at"].dtype == pd.ArrowDtype(pa.timestamp("us", tz="UTC"))
    assert build["built_at"][0] == pd.Timestamp("2026-04-01T06:30:00Z")
    assert marts.read("dim_projects", path=published)["tags"][0] == '{"tier": "1"}'


def test_the_data_directory_is_the_default(
    published: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FINOPS_DATA_DIR", str(published.parent))
    assert len(marts.read("dim_teams")) == 3
    assert marts.tables() == sorted(marts.tables())
    assert "rpt_build" in marts.tables()


@pytest.mark.parametrize(
    "name",
    [
        "fct_team_daily_cost",
        'dim_teams"; SELECT 1; --',
        "dim_teams WHERE false",
        "main.dim_teams",
        "/etc/passwd",
        "",
    ],
)
def test_only_names_of_tables_are_read(published: Path, name: str) -> None:
    with pytest.raises(UsageError, match="There is no published table") as raised:
        marts.read(name, path=published)
    assert "Published are: dim_projects, dim_teams, " in raised.value.fix


def test_a_near_name_is_suggested(published: Path) -> None:
    with pytest.raises(UsageError, match="Did you mean fct_team_daily_costs"):
        marts.read("FCT_TEAM_DAILY_COST", path=published)


def test_nothing_published_says_where_and_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(FinopsError) as raised:
        marts.read("dim_teams", path=tmp_path / "none" / "marts.duckdb")
    assert str(tmp_path / "none" / "marts.duckdb") in raised.value.message
    assert "`finops run`" in raised.value.fix
    assert "`make demo`" in raised.value.fix


def test_a_file_that_is_no_database_is_one_line(tmp_path: Path) -> None:
    broken = tmp_path / "marts.duckdb"
    broken.write_bytes(b"no database" * 1000)
    with pytest.raises(FinopsError, match="cannot be read") as raised:
        marts.read("dim_teams", path=broken)
    assert "\n" not in str(raised.value)


def test_a_reader_that_stays_open_hides_no_later_publishing(published: Path) -> None:
    """DuckDB shares a file opened by name within a process, whatever lies there by now."""
    with duckdb.connect(str(published), read_only=True) as lingering:
        newer = publish(published.with_name("newer.duckdb"), empty=True)
        newer.replace(published)
        assert marts.read("dim_teams", path=published).empty
        assert lingering.execute("SELECT count(*) FROM dim_teams").fetchone() == (3,)


def test_unpublished_changes_of_a_killed_writer_are_not_shown(published: Path) -> None:
    """DuckDB would replay them from the write-ahead log, also for a reader."""
    published.chmod(0o644)
    subprocess.run(
        [sys.executable, "-c", DELETE_AND_DIE, str(published)],
        check=False,
    )
    assert published.with_name("marts.duckdb.wal").exists()
    with pytest.raises(FinopsError, match=r"marts\.duckdb\.wal lies beside"):
        marts.read("dim_teams", path=published)


def test_the_file_is_closed_and_the_folder_untouched(published: Path) -> None:
    before = (published.read_bytes(), sorted(published.parent.iterdir()))
    marts.read("dim_teams", path=published)
    assert (published.read_bytes(), sorted(published.parent.iterdir())) == before
    published.chmod(0o644)
    duckdb.connect(str(published)).close()  # no lock is left


def test_a_path_with_a_quote_is_a_path(published: Path) -> None:
    odd = published.with_name("o'clock.duckdb")
    shutil.copy(published, odd)
    assert len(marts.read("dim_teams", path=odd)) == 3


def test_importing_the_reader_loads_no_engine() -> None:
    script = (
        "import sys, finops_pipeline.marts; print({'duckdb', 'pandas', 'pyarrow'} & {*sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM read_text('{other}')",
        "SELECT * FROM '{other}.csv'",
        "SELECT * FROM glob('{folder}/*')",
        "COPY dim_teams TO '{folder}/new.csv'",
        "ATTACH '{other}' AS other (READ_ONLY)",
        "DELETE FROM marts.dim_teams",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "SET memory_limit = '90GB'",
        "SELECT * FROM local_frame",
    ],
)
def test_the_connection_itself_is_closed(
    published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, statement: str
) -> None:
    monkeypatch.chdir(tmp_path)
    other = publish(tmp_path / "other.duckdb", empty=True)
    local_frame = pd.DataFrame({"secret": [1]})
    before = sorted(tmp_path.rglob("*"))
    with marts.connect(published) as connection, pytest.raises(duckdb.Error):
        connection.execute(statement.format(other=other, folder=tmp_path)).fetchone()
    assert sorted(tmp_path.rglob("*")) == before
    assert len(local_frame) == 1


def test_a_statement_short_of_memory_fails_instead_of_writing_files(published: Path) -> None:
    with marts.connect(published, memory_limit="20MB") as connection:
        assert connection.execute("SELECT current_setting('temp_directory')").fetchone() == ("",)
        with pytest.raises(duckdb.OutOfMemoryException):
            connection.execute("SELECT * FROM range(5000000) ORDER BY hash(range)").fetchone()

"""One SELECT on the published marts; everything else is refused and changes nothing."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import typer

from finops_pipeline import marts
from finops_pipeline.cli.query import query
from finops_pipeline.cli.statement import checked
from finops_pipeline.errors import FinopsError, UsageError
from tests.cli.conftest import Command, Outcome
from tests.cli.marts_fixtures import publish

app = typer.Typer()
app.command()(query)


@pytest.fixture
def published(data: Path) -> Path:
    return publish(data / "marts.duckdb")


@pytest.fixture
def ask(command: Command, published: Path) -> Command:
    def run(*arguments: str, stdin: str = "") -> Outcome:
        return command(app, *arguments, stdin=stdin)

    return run


class Nobody(HTTPServer):
    """Counts who calls."""

    calls = 0


@pytest.fixture
def network() -> Iterator[Nobody]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            assert isinstance(self.server, Nobody)
            self.server.calls += 1
            self.send_error(404)

        def do_HEAD(self) -> None:
            self.do_GET()

    with Nobody(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield server
        server.shutdown()


# {marts}: the published file, {other}: another database, {csv}: a readable file, {new}: a path
# that does not exist, {url}: a web server.
OTHER_FILES = [
    "SELECT * FROM read_csv('{csv}')",
    "SELECT * FROM '{csv}'",
    "SELECT * FROM read_text('{csv}')",
    "SELECT * FROM read_blob('{csv}')",
    "SELECT * FROM read_blob('{marts}')",
    "SELECT * FROM read_blob('{marts}.wal')",
    "SELECT * FROM read_json('{csv}')",
    "SELECT * FROM read_parquet('{csv}')",
    "SELECT * FROM sniff_csv('{csv}')",
    "SELECT * FROM glob('{folder}/*')",
    "SELECT * FROM query_table('{csv}')",
    "SELECT * FROM query('SELECT * FROM read_text(''{csv}'')')",
    "SELECT * FROM read_duckdb('{other}')",
    "SELECT * FROM read_duckdb('{marts}')",
    "SELECT * FROM sqlite_scan('{other}', 't')",
    "SELECT * FROM parquet_metadata('{csv}')",
    "COPY dim_teams TO '{new}'",
    "COPY dim_teams TO '{marts}' (FORMAT csv, USE_TMP_FILE false)",
    "COPY (SELECT 1) TO '{marts}.wal'",
    "EXPLAIN ANALYZE COPY (SELECT 1) TO '{marts}.wal'",
    "COPY dim_teams FROM '{csv}'",
    "COPY FROM DATABASE marts TO memory",
    "EXPORT DATABASE '{new}'",
    "IMPORT DATABASE '{folder}'",
    "ATTACH '{other}' AS other",
    "ATTACH '{other}' AS other (READ_ONLY)",
    "ATTACH '{marts}' AS again",
    "ATTACH ':memory:' AS scratch",
    "ATTACH '{new}' AS fresh",
    "DETACH marts",
    "USE memory",
]
NETWORK = [
    "SELECT * FROM '{url}/x.csv'",
    "SELECT * FROM read_csv('{url}/x.csv')",
    "SELECT * FROM read_parquet('s3://bucket/x.parquet')",
    "COPY dim_teams TO '{url}/x.csv'",
    "ATTACH '{url}/x.duckdb' AS remote",
    "INSTALL httpfs",
    "FORCE INSTALL httpfs FROM '{url}'",
    "LOAD httpfs",
    "LOAD '{csv}'",
    "UPDATE EXTENSIONS",
    "SELECT * FROM postgres_scan('host=127.0.0.1', 'public', 't')",
    "CREATE SECRET (TYPE s3, KEY_ID 'a', SECRET 'b')",
    "CREATE PERSISTENT SECRET (TYPE http, BEARER_TOKEN 'b')",
    "CALL start_ui()",
]
SETTINGS = [
    "SET enable_external_access = true",
    "SET lock_configuration = false",
    "SET memory_limit = '90GB'",
    "SET temp_directory = '{folder}'",
    "SET TimeZone = 'Europe/Berlin'",
    "SET VARIABLE x = 1",
    "RESET memory_limit",
    "PRAGMA memory_limit = '90GB'",
    "PRAGMA enable_profiling",
    "PRAGMA profiling_output = '{new}'",
    "CALL enable_logging('QueryLog', storage = 'file', storage_path = '{new}')",
    "SELECT * FROM enable_logging('QueryLog', storage = 'file', storage_path = '{new}')",
    "SELECT * FROM system.main.enable_logging(level = 'debug', storage = 'stdout')",
    "SELECT * FROM query('SELECT * FROM enable_logging()')",
    "SELECT * FROM json_execute_serialized_sql(json_serialize_sql('FROM enable_logging()'))",
    "WITH x AS (FROM disable_logging()) SELECT 1 FROM x",
    "SELECT (SELECT count(*) FROM enable_profiling())",
    "SELECT 1 WHERE EXISTS (FROM disable_profiling())",
    "FROM dim_teams, LATERAL (FROM truncate_duckdb_logs())",
    "PIVOT (FROM enable_logging()) ON 1 USING count(*)",
    "SELECT * FROM checkpoint('marts')",
    "SELECT * FROM force_checkpoint()",
    "SELECT * FROM duckdb_settings()",
    "SELECT * FROM duckdb_secrets()",
    "SELECT * FROM duckdb_extensions()",
    "SELECT getenv('PATH')",
    "PRAGMA database_size",
]
CHANGES = [
    "CREATE TABLE t AS SELECT 1",
    "CREATE TEMP TABLE t AS SELECT 1",
    "CREATE MACRO f() AS 1",
    "INSERT INTO dim_teams (team_id) VALUES ('x')",
    "UPDATE dim_teams SET team_id = 'x'",
    "DELETE FROM dim_teams",
    "DROP TABLE dim_teams",
    "ALTER TABLE dim_teams ADD COLUMN x int",
    "COMMENT ON TABLE dim_teams IS 'x'",
    "CHECKPOINT",
    "VACUUM",
    "ANALYZE",
    "BEGIN",
    "PREPARE p AS SELECT 1",
    "CALL pragma_version()",
]


@pytest.mark.parametrize("attack", OTHER_FILES + NETWORK + SETTINGS + CHANGES)
def test_a_statement_reaches_nothing_but_the_marts(
    ask: Command, published: Path, tmp_path: Path, network: Nobody, attack: str
) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("name,word\nx,opensesame\n")
    other = publish(tmp_path / "other.duckdb", empty=True)
    places = {
        "marts": published,
        "other": other,
        "csv": secret,
        "folder": tmp_path,
        "new": tmp_path / "new",
        "url": f"http://127.0.0.1:{network.server_port}",
    }
    before = _contents(tmp_path)

    outcome = ask(attack.format(**places), "--json")

    assert isinstance(outcome.error, UsageError), outcome
    assert outcome.stdout == ""
    assert "opensesame" not in str(outcome.error)
    assert "\n" not in str(outcome.error)
    assert _contents(tmp_path) == before
    assert network.calls == 0


def _contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "statement",
    ["COPY (SELECT 1) TO '{marts}.wal'", "SELECT * FROM enable_logging()"],
)
def test_these_gaps_of_duckdb_are_why_statements_are_checked(
    published: Path, statement: str
) -> None:
    """If this fails, DuckDB's own locks have become tighter."""
    with marts.connect(published) as connection:
        connection.execute(statement.format(marts=published))


def test_variables_of_this_process_are_no_tables(ask: Command) -> None:
    assert isinstance(ask("SELECT * FROM rows").error, UsageError)
    assert isinstance(ask("SELECT * FROM settings").error, UsageError)


def test_a_proxy_with_a_password_is_not_shown(
    published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://user:hunter2@127.0.0.1:9")
    with marts.connect(published) as connection:
        shown = connection.execute("SELECT * FROM duckdb_settings()").fetchall()
        proxy = connection.execute("SELECT current_setting('http_proxy')").fetchone()
    assert "hunter2" not in str(shown)
    assert proxy == ("none",)


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT count(*) FROM dim_teams",
        "SELECT count(*) FROM marts.main.dim_teams -- at the end",
        "/* first */ SELECT 1;",
        "FROM dim_teams LIMIT 1",
        "WITH x AS (SELECT 1 AS a) SELECT a FROM x",
        "WITH RECURSIVE x AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM x WHERE i < 3) FROM x",
        "VALUES (1), (2)",
        "SHOW TABLES",
        "SHOW ALL TABLES",
        "DESCRIBE fct_team_daily_costs",
        "SUMMARIZE fct_team_daily_costs",
        "SELECT * FROM information_schema.columns",
        "SELECT * FROM range(3), unnest([1, 2]), generate_series(1, 2)",
        "SELECT p.project_id, t.key FROM dim_projects AS p, json_each(p.tags) AS t",
        "SELECT tags->>'tier', regexp_matches(project_id, 's') FROM dim_projects",
        "SELECT date_trunc('week', cost_date), sum(cost) FROM fct_team_daily_costs GROUP BY ALL",
        "SELECT team_id, sum(cost) OVER (ORDER BY cost_date) FROM fct_team_daily_costs",
        "PIVOT fct_team_daily_costs ON team_id IN ('web', 'ml') USING sum(cost) GROUP BY currency",
        "UNPIVOT rpt_cost_summary ON yesterday, this_week INTO NAME period VALUE cost",
        "FROM rpt_cost_summary AS s ASOF JOIN fct_team_daily_costs AS f ON as_of_date >= cost_date",
        "SELECT * FROM histogram(fct_team_daily_costs, currency)",
        "SELECT * FROM query_table('dim_teams')",
    ],
)
def test_what_analysts_write_is_answered(ask: Command, statement: str) -> None:
    outcome = ask(statement, "--json")
    assert outcome.exit_code == 0, outcome
    assert json.loads(outcome.stdout)


def test_values_in_json_are_exact_and_utc(ask: Command) -> None:
    outcome = ask(
        "SELECT max(cost) AS cost, 1e-18::decimal(38, 18) AS tiny, 12::hugeint AS whole, "
        "any_value(built_at) AS at, max(cost_date) AS day, NULL AS none, 'ß' AS name, "
        "'nan'::double AS ratio, {'a': [1.50::decimal(3, 2)]} AS nested, 1 AS name, "
        "INTERVAL 1 DAY AS span, DATE '290000-01-01' AS far, '\\xAA'::blob AS bytes "
        "FROM fct_team_daily_costs, rpt_build",
        "--json",
    )
    assert json.loads(outcome.stdout) == [
        {
            "cost": "1234.750000000000000001",
            "tiny": "0.000000000000000001",
            "whole": 12,
            "at": "2026-04-01T06:30:00+00:00",
            "day": "2026-03-31",
            "none": None,
            "name": "ß",
            "ratio": "nan",
            "nested": {"a": ["1.50"]},
            "name_1": 1,
            "span": "1 day, 0:00:00",
            "far": "290000-01-01",
            "bytes": "aa",
        }
    ]
    assert outcome.stderr == ""


def test_values_in_csv_are_exact(ask: Command) -> None:
    outcome = ask(
        "SELECT team_id, cost, is_settled, cost_date, NULL AS none, [1, 2] AS list "
        "FROM fct_team_daily_costs ORDER BY cost DESC LIMIT 2",
        "--csv",
    )
    assert list(csv.reader(io.StringIO(outcome.stdout))) == [
        ["team_id", "cost", "is_settled", "cost_date", "none", "list"],
        ["web", "1234.750000000000000001", "true", "2026-03-30", "", "[1, 2]"],
        ["web", "10.000000000000000001", "true", "2026-03-01", "", "[1, 2]"],
    ]


def test_a_table_leaves_out_zeros_and_no_digit(ask: Command) -> None:
    outcome = ask("SELECT cost, {'a': 1} AS nested FROM fct_team_daily_costs ORDER BY cost")
    figures = [line.split("│")[1].strip() for line in outcome.stdout.splitlines() if "│" in line]
    assert figures == [
        "-1.005",
        "0.003",
        "3.00",
        "10.000000000000000001",
        "1234.750000000000000001",
    ]
    assert '{"a": 1}' in outcome.stdout


def test_a_table_ends_after_a_thousand_rows_and_says_so(ask: Command) -> None:
    table = ask("SELECT range FROM range(1001)")
    assert table.stdout.count("│") // 2 == 1000
    assert table.stderr == (
        "Warning: only the first 1,000 rows are shown; --max-rows N or --csv shows more.\n"
    )
    assert ask("SELECT range FROM range(1000)").stderr == ""


@pytest.mark.parametrize("form", ["--json", "--csv"])
def test_json_and_csv_have_every_row_unless_told_otherwise(ask: Command, form: str) -> None:
    everything = ask("SELECT range AS n FROM range(25000)", form)
    assert len(everything.stdout.splitlines()) in {25001, 25002}
    assert everything.stderr == ""

    some = ask("SELECT range AS n FROM range(25000)", form, "--max-rows", "2")
    assert len(some.stdout.splitlines()) in {3, 4}
    assert "the first 2 rows" in some.stderr


def test_an_empty_result_names_its_columns(ask: Command) -> None:
    empty = "SELECT team_id, cost FROM fct_team_daily_costs WHERE false"
    assert ask(empty).stdout == "No rows (team_id, cost).\n"
    assert ask(empty, "--json").stdout == "[]\n"
    assert ask(empty, "--csv").stdout == "team_id,cost\n"


def test_a_statement_comes_from_standard_input(ask: Command) -> None:
    assert json.loads(ask("-", "--json", stdin="SELECT 1 AS a;\n").stdout) == [{"a": 1}]
    assert "empty" in str(ask("-", stdin=" -- nothing\n").error)


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("SELECT 1; SELECT 2", "There are 2 statements; one is allowed."),
        ("SELECT cots FROM fct_team_daily_costs", 'Candidate bindings: "cost"'),
        ("SELECT * FROM fct_team_daily_cost", 'Did you mean "fct_team_daily_costs"?'),
        ("SELECT form dim_teams WHERE", "syntax error"),
        ("SELECT 'x'::int", "Could not convert string 'x' to INT32"),
        ("SELECT error('stop')", "stop"),
        ("SELECT ?", "parameter"),
        ("PIVOT fct_team_daily_costs ON team_id USING sum(cost)", "IN ('a', 'b')"),
        ("   ", "The statement is empty."),
    ],
)
def test_a_wrong_statement_is_one_line_that_helps(ask: Command, statement: str, said: str) -> None:
    outcome = ask(statement)
    assert isinstance(outcome.error, UsageError)
    assert said in str(outcome.error)
    assert "LINE 1" not in str(outcome.error)
    assert "\n" not in str(outcome.error)


def test_too_large_a_statement_ends_in_a_sentence_and_leaves_no_file(
    ask: Command, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FINOPS_DUCKDB_MEMORY_LIMIT", "20MB")
    outcome = ask("SELECT count(DISTINCT repeat(range::varchar, 20)) FROM range(3000000)")
    assert outcome.exit_code == 1
    assert "FINOPS_DUCKDB_MEMORY_LIMIT" in str(outcome.error)
    assert [path for path in data.parent.rglob("*") if path.is_file()] == [data / "marts.duckdb"]


def test_nothing_published_is_told(command: Command) -> None:
    outcome = command(app, "SELECT 1")
    assert type(outcome.error) is FinopsError
    assert "No marts are published" in str(outcome.error)


def test_json_and_csv_exclude_each_other(ask: Command) -> None:
    assert isinstance(ask("SELECT 1", "--json", "--csv").error, UsageError)


def test_what_was_checked_is_what_runs(published: Path) -> None:
    with marts.connect(published) as connection:
        assert checked(connection, "SELECT 1 -- x") == "SELECT 1 -- x"


def test_an_interrupt_ends_a_statement_that_duckdb_would_not_end(published: Path) -> None:
    script = """
from finops_pipeline.cli import query
check = query.checked
query.checked = lambda *given: (check(*given), print("running", flush=True))[0]
query.query("SELECT 1 FROM range(1000000000) a, range(1000000) b WHERE a.range * b.range = 3")
"""
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        env={**os.environ, "FINOPS_DATA_DIR": str(published.parent)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "running\n"
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=30) == ("", "")
    assert process.returncode == -signal.SIGINT

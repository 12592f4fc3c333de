"""`finops run` and `finops build` as a user sees them: what they refuse, and how they end."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from finops_pipeline.cli import main as command_line
from finops_pipeline.cli import run as run_module
from finops_pipeline.errors import UsageError
from finops_pipeline.registry import open_registry
from finops_pipeline.settings import load_settings
from finops_pipeline.warehouse import Warehouse

TODAY = datetime.now(UTC).date()
FINOPS = Path(sys.executable).with_name("finops")

HOLDER = """
import sys
import duckdb

with duckdb.connect(sys.argv[1]):
    print("open", flush=True)
    sys.stdin.read()
"""


Finops = Callable[..., Any]


@pytest.fixture
def team(data: Path) -> str:
    """A registered team; its key is needed by no command that is refused."""
    with open_registry(load_settings()) as registry:
        registry.add_team("search")
    return "search"


def tree(folder: Path) -> dict[str, str]:
    """Every file below a folder, and what is in it."""
    return {
        str(path.relative_to(folder)): (
            hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"
        )
        for path in folder.rglob("*")
    }


def assert_refused(ended: Any, code: int, *words: str) -> None:
    assert ended.code == code
    assert ended.stdout == ""
    assert ended.stderr.startswith("Error: ")
    assert ended.stderr.count("\n") == 1
    assert "Traceback" not in ended.stderr
    for each in words:
        assert each in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--from", "yesterday"), ("--from 'yesterday' is not a date", "2026-03-31")),
        (("--to", "2026-02-30"), ("--to '2026-02-30' is not a date", "YYYY-MM-DD")),
        (("--from", ""), ("--from '' is not a date",)),
        (("--to", ""), ("--to '' is not a date",)),
        (
            ("--from", "2026-03-02", "--to", "2026-03-01"),
            ("--from 2026-03-02 lies after --to 2026-03-01", "Exchange"),
        ),
        (
            ("--from", "2026-03-01", "--to", str(TODAY)),
            (f"--to {TODAY} is not over yet (UTC)", str(TODAY - timedelta(days=1))),
        ),
        (("--from", str(TODAY + timedelta(days=9))), ("--from", "is not over yet (UTC)")),
        (("--to", "9999-12-31"), ("--to 9999-12-31 is not over yet",)),
        (
            ("--from", "2024-12-31", "--to", "2025-01-02"),
            ("--from 2024-12-31 lies before the first day, 2025-01-01", "FINOPS_START_DATE"),
        ),
        (("--to", "2024-12-31"), ("--to 2024-12-31 lies before the first day",)),
        (("--team", "nobody"), ("'nobody' is not registered", "finops team list")),
    ],
)
def test_wrong_usage_is_refused_in_one_line_and_changes_nothing(
    finops: Finops, team: str, tmp_path: Path, arguments: tuple[str, ...], words: tuple[str, ...]
) -> None:
    before = tree(tmp_path)
    assert_refused(finops("run", *arguments), 2, *words)
    assert tree(tmp_path) == before


def test_without_any_team_nothing_is_created(finops: Finops, tmp_path: Path) -> None:
    assert_refused(finops("run"), 2, "No team is registered.", "finops team add ID")
    assert tree(tmp_path) == {}


@pytest.mark.parametrize(
    "arguments",
    [("key", "status", "search"), ("key", "register", "search", "--from-env", "KEY")],
    ids=" ".join,
)
def test_no_registry_is_created_by_asking_for_a_team(
    finops: Finops, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.setenv("KEY", "sk-admin-" + "a" * 40)
    assert_refused(finops(*arguments), 2, "No team is registered.", "finops team add ID")
    assert tree(tmp_path) == {}


def test_with_deactivated_teams_alone_nothing_is_collected(
    finops: Finops, team: str, tmp_path: Path
) -> None:
    with open_registry(load_settings()) as registry:
        registry.deactivate_team(team)
    before = tree(tmp_path)
    assert_refused(finops("run"), 2, "team")
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("FINOPS_SETTLE_DAYS", "soon"),
        ("FINOPS_START_DATE", "2026-13-01"),
        ("FINOPS_OPENAI_BASE_URL", "http://example.com/v1"),
        ("FINOPS_COST_SOURCE", "guesses"),
        ("FINOPS_MAX_CONCURRENT_TEAMS", "0"),
        ("FINOPS_TOLERANCE", "many"),
    ],
)
@pytest.mark.parametrize("command", ["run", "build"])
def test_a_malformed_setting_is_named_and_its_value_is_not_shown(
    finops: Finops,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    variable: str,
    value: str,
) -> None:
    monkeypatch.setenv(variable, value)
    ended = finops(command)
    assert_refused(ended, 2, f"Setting {variable} is not usable", "finops settings")
    assert tree(tmp_path) == {}


def test_a_first_day_in_the_future_is_refused(
    finops: Finops, team: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FINOPS_START_DATE", str(TODAY))
    before = tree(tmp_path)
    assert_refused(finops("run"), 2, f"The first day, {TODAY}, is not over yet (UTC)")
    assert tree(tmp_path) == before


@pytest.mark.parametrize("command", ["run", "build"])
def test_a_data_directory_that_cannot_be_written_is_named(
    finops: Finops, data: Path, tmp_path: Path, command: str
) -> None:
    data.write_text("a file in its place")
    before = tree(tmp_path)
    assert_refused(
        finops(command), 1, f"The data directory {data} cannot be written", "FINOPS_DATA_DIR"
    )
    assert tree(tmp_path) == before


@pytest.fixture
def held(data: Path, team: str) -> Iterator[int]:
    """A DuckDB client that has the warehouse open; its process id."""
    path = data / "warehouse.duckdb"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        yield holder.pid


@pytest.mark.parametrize("arguments", [(), ("--from", "2026-01-01", "--to", "2026-01-02")])
def test_a_warehouse_that_another_process_holds_is_waited_for_in_vain_and_left_alone(
    finops: Finops,
    held: int,
    data: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
) -> None:
    defaults = Warehouse.__init__.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "client_timeout", 0.3)
    before = {name: content for name, content in tree(data).items() if "." in name}
    ended = finops("run", *arguments)

    assert ended.code == 1
    assert ended.stdout == ""
    assert "Traceback" not in ended.stderr
    last = ended.stderr.splitlines()[-1]
    assert last.startswith("Error: ")
    assert f"warehouse.duckdb is open in process {held} " in last
    assert "Close that program" in last
    after = tree(data)
    assert {name: after[name] for name in before} == before
    assert "marts.duckdb" not in after


def test_the_text_of_an_unforeseen_error_is_not_shown(
    finops: Finops, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_off() -> None:
        raise RuntimeError("sk-admin-secret")

    monkeypatch.setattr(run_module, "load_settings", break_off)
    ended = finops("run")
    assert_refused(ended, 1, "(RuntimeError)", "--debug")
    assert "secret" not in ended.stderr


def test_debug_shows_the_traceback(finops: Finops, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["finops", "run", "--from", "tomorrow", "--debug"])
    with pytest.raises(UsageError, match="is not a date"):
        command_line.main()


@pytest.mark.parametrize(("options", "traceback"), [((), False), (("--debug",), True)])
def test_the_installed_script_ends_with_the_same_code_and_line(
    finops: Finops, team: str, options: tuple[str, ...], traceback: bool
) -> None:
    ended = subprocess.run(
        [str(FINOPS), *options, "run", "--team", "nobody"],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert ended.stdout == ""
    assert "'nobody' is not registered" in ended.stderr
    assert ("Traceback" in ended.stderr) is traceback
    assert ended.returncode == (1 if traceback else 2)

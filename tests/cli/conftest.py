"""A command line in a data directory of its own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from finops_pipeline.cli.main import main
from finops_pipeline.errors import FinopsError
from finops_pipeline.simulator import SimulatedServer
from finops_pipeline.warehouse.dbt import Dbt
from tests import parsed
from tests.cli.openai import SCENARIO


@dataclass(frozen=True)
class Outcome:
    """What a command printed, the error it raised for people, and its exit code."""

    stdout: str
    stderr: str
    exit_code: int
    error: FinopsError | None


Command = Callable[..., Outcome]


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data directory; the settings' environment points at it and no ``.env`` is near."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FINOPS_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("FINOPS_KEY_FILE", str(tmp_path / "config" / "key"))
    monkeypatch.setenv("FINOPS_OPENAI_BASE_URL", "https://api.openai.com/v1")
    monkeypatch.delenv("FINOPS_REGISTRY_URL", raising=False)
    return tmp_path / "data"


@pytest.fixture
def command(data: Path) -> Command:
    """Runs a group of commands: ``command(team.app, "add", "web")``."""

    def run(app: typer.Typer, *arguments: str, stdin: str | bytes = "") -> Outcome:
        result = CliRunner().invoke(app, arguments, input=stdin)
        error = result.exception
        if error is not None and not isinstance(error, FinopsError | SystemExit):
            raise error
        if isinstance(error, FinopsError):
            return Outcome(result.stdout, result.stderr, error.exit_code, error)
        return Outcome(result.stdout, result.stderr, result.exit_code, None)

    return run


@pytest.fixture(scope="module")
def openai() -> Iterator[SimulatedServer]:
    """The simulated OpenAI of the module's commands, which point at it themselves."""
    with SimulatedServer(SCENARIO) as server:
        yield server


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    stdout: str
    stderr: str


@pytest.fixture
def finops(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Ended]:
    """The console script, in this process."""
    # What a command sets for Dagster is undone with everything else.
    monkeypatch.setenv("DAGSTER_HOME", "")
    monkeypatch.setattr(Dbt, "manifest", parsed.manifest)

    def run(*arguments: str) -> Ended:
        monkeypatch.setattr(sys, "argv", ["finops", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ending:
            main()
        code = ending.value.code
        assert isinstance(code, int)
        return Ended(code, *capsys.readouterr())

    return run

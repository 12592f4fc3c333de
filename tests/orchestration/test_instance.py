"""Dagster's instance: where it lies, and what becomes of runs whose process died."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import psutil
import pytest
from sqlalchemy import create_engine, text

from finops_pipeline.errors import UsageError
from finops_pipeline.orchestration.instance import open_instance, process_tags
from finops_pipeline.settings import ExplicitSettings, Settings

STARTS_A_RUN = """
import sys
import dagster as dg
from finops_pipeline.orchestration.instance import process_tags
with dg.DagsterInstance.get() as instance:
    instance.add_run(
        dg.DagsterRun(
            job_name="collect",
            run_id=sys.argv[1],
            status=dg.DagsterRunStatus.STARTED,
            tags=process_tags(instance),
        )
    )
    print("started", flush=True)
    sys.stdin.read()
"""
RUN_ID = "11111111-2222-3333-4444-555555555555"


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings with a data directory of their own; what is set in the environment is undone."""
    monkeypatch.setenv("DAGSTER_HOME", "")
    return ExplicitSettings(data_dir=tmp_path / "data", key_file=tmp_path / "key")


@pytest.fixture
def other_process(settings: Settings) -> Iterator[subprocess.Popen[str]]:
    """Another process in mid-run."""
    open_instance(settings)
    with subprocess.Popen(
        [sys.executable, "-c", STARTS_A_RUN, RUN_ID],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        yield process
        process.kill()


def status(settings: Settings) -> dg.DagsterRunStatus:
    run = open_instance(settings).get_run_by_id(RUN_ID)
    assert run is not None
    return run.status


def test_it_lies_in_the_data_directory_without_telemetry(settings: Settings) -> None:
    instance = open_instance(settings)
    assert instance.root_directory == str(settings.data_dir / "dagster")
    assert instance.telemetry_enabled is False
    assert instance.run_monitoring_enabled is True


@pytest.mark.slow
def test_a_run_whose_process_was_killed_is_failed_when_the_instance_is_opened(
    settings: Settings, other_process: subprocess.Popen[str]
) -> None:
    assert status(settings) is dg.DagsterRunStatus.STARTED
    other_process.send_signal(signal.SIGKILL)
    other_process.wait()
    assert status(settings) is dg.DagsterRunStatus.FAILURE
    assert list((settings.data_dir / "dagster" / "processes").iterdir()) == []


def test_a_run_of_this_process_and_one_that_names_none_are_left_alone(settings: Settings) -> None:
    instance = open_instance(settings)
    for tags in (process_tags(instance), {}):
        instance.add_run(
            dg.DagsterRun(job_name="collect", status=dg.DagsterRunStatus.STARTED, tags=tags)
        )
    assert {run.status for run in open_instance(settings).get_runs()} == {
        dg.DagsterRunStatus.STARTED
    }


@pytest.mark.parametrize("home", ["relative/home", "/nowhere/at/all"])
def test_an_unusable_dagster_home_is_said_in_words(
    settings: Settings, home: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", home)
    with pytest.raises(UsageError, match=f"DAGSTER_HOME is set to '{home}'"):
        open_instance(settings)


def test_dagsters_databases_wait_for_the_disk_seldom_and_no_others(
    settings: Settings, tmp_path: Path
) -> None:
    instance = open_instance(settings)
    history = Path(instance.root_directory) / "history"

    def synchronous(path: Path) -> int:
        with create_engine(f"sqlite:///{path}").connect() as connection:
            return int(connection.execute(text("PRAGMA synchronous")).scalar_one())

    normal, full = 1, 2
    assert synchronous(history / "runs.db") == normal
    assert synchronous(history / "runs" / "index.db") == normal
    assert synchronous(tmp_path / "registry.db") == full


@dg.job
def nothing_to_do() -> None:
    pass


def test_dagsters_databases_stay_open_between_events(settings: Settings) -> None:
    instance = open_instance(settings)
    result = nothing_to_do.execute_in_process(
        instance=instance, run_config={"loggers": {"console": {"config": {"log_level": "ERROR"}}}}
    )

    history = Path(instance.root_directory) / "history"
    kept = {file.path for file in psutil.Process().open_files()}
    for name in ("runs.db", "runs/index.db", f"runs/{result.run_id}.db"):
        assert str(history / name) in kept

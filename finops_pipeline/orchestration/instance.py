"""Dagster's instance: one for the command line and the UI, so that each sees the other's runs."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import dagster as dg

from finops_pipeline.settings import Settings

_INSTANCE_CONFIG = Path(__file__).parents[2] / "dagster.yaml"
_PID_TAG = "finops/pid"


def dagster_home(settings: Settings) -> Path:
    """Dagster's home: ``DAGSTER_HOME`` where it is set, else in the data directory; created.

    Dagster itself reads the variable, so it is set for this process and its children.
    """
    configured = os.environ.get("DAGSTER_HOME")
    if configured:
        return Path(configured)
    home = settings.dagster_home
    home.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(_INSTANCE_CONFIG, home / "dagster.yaml")
    os.environ["DAGSTER_HOME"] = str(home)
    return home


def open_instance(settings: Settings) -> dg.DagsterInstance:
    """The instance, with runs that died with their process marked as failed.

    A run that was killed stays "started" for ever, and a build is not begun by itself while
    anything seems to be in progress.
    """
    dagster_home(settings)
    instance = dg.DagsterInstance.get()
    for record in instance.get_run_records(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])):
        pid = record.dagster_run.tags.get(_PID_TAG)
        if pid is not None and not _alive(int(pid)):
            instance.report_run_failed(record.dagster_run, f"Process {pid} died in mid-run.")
    return instance


def run_tags() -> dict[str, str]:
    """Tags by which a later process recognises that this one has died."""
    return {_PID_TAG: str(os.getpid())}


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True

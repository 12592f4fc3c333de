"""The places that a run writes: data directory, warehouse, published file, Dagster, free space."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from finops_pipeline import marts
from finops_pipeline.doctor.check import Check, fail, ok, warn
from finops_pipeline.errors import FinopsError
from finops_pipeline.settings import Settings

PATIENCE_SECONDS = 1.0
"""How long to wait for a writer that is at work: it may need an hour, and nobody doubts it."""

OLD_AFTER = timedelta(hours=36)
"""A daily run that started late is younger; one that was left out is older."""

_GIB = 1024**3
_ROOM_TO_WORK = 2 * _GIB
_ROOM_AT_LEAST = _GIB // 4


def warehouse_writable(settings: Settings) -> Iterator[Check]:
    """The data directory and the raw warehouse; looked into under the lock, never written."""
    import duckdb

    from finops_pipeline.warehouse import Warehouse

    name = "warehouse_writable"
    if not settings.data_dir.exists():
        yield _creatable(name, settings.data_dir)
        return
    waits: list[str] = []
    warehouse = Warehouse(
        settings.data_dir,
        memory_limit=settings.duckdb_memory_limit,
        writer_timeout=PATIENCE_SECONDS,
        on_wait=waits.append,
    )
    warehouse.ensure_folder()
    path = warehouse.path
    if not path.exists():
        yield ok(name, f"{settings.data_dir} is writable; the first run makes the warehouse in it.")
        return
    if not os.access(path, os.R_OK | os.W_OK):
        yield fail(
            name,
            f"The warehouse {path} cannot be written: permission denied.",
            "Run as the user who owns it, or give it back to this one.",
        )
        return
    try:
        with warehouse.writing("checking the installation"):
            duckdb.connect(str(path), read_only=True).close()
    except duckdb.Error as error:
        yield fail(
            name,
            f"The warehouse {path} cannot be opened: {str(error).splitlines()[0]}",
            "Close the program that has it open; if it is damaged, restore it from a backup.",
        )
    except FinopsError as error:
        yield warn(name, error.message, "If that is the daily run, all is well; else see to it.")
    else:
        yield ok(name, f"{path} is free and can be written.")


def _creatable(name: str, folder: Path) -> Check:
    parent = _existing(folder)
    if os.access(parent, os.W_OK | os.X_OK):
        return ok(name, f"{folder} is not there yet; the first command that needs it makes it.")
    return fail(
        name,
        f"The data directory {folder} cannot be made: {parent} cannot be written.",
        "Make it writable, or set FINOPS_DATA_DIR to a folder that is.",
    )


def published(settings: Settings, now: datetime) -> Iterator[Check]:
    """The published file: whether it is there, whole and of today."""
    name = "published"
    if not settings.marts_path.exists():
        yield warn(
            name,
            f"Nothing is published at {settings.marts_path} yet.",
            "Run `finops run` once teams and keys are registered.",
        )
        return
    with marts.connect(settings.marts_path) as connection:
        row = connection.execute("SELECT built_at, newest_complete_date FROM rpt_build").fetchone()
    if row is None:
        yield fail(name, "The published file names no build.", "Publish anew with `finops build`.")
        return
    built_at, newest = row
    age = now - built_at.astimezone(UTC)
    told = f"Built {_ago(age)}, complete to {newest or 'no day yet'}."
    if age > OLD_AFTER:
        yield warn(
            name, told, "Look at the newest run (`finops ui`), and whether one is scheduled."
        )
    else:
        yield ok(name, told)


def dagster_storage(settings: Settings) -> Iterator[Check]:
    """Dagster's record of runs answers."""
    name = "dagster_storage"
    if not (os.environ.get("DAGSTER_HOME") or settings.dagster_home.exists()):
        yield ok(name, "No run was recorded yet; the first one makes Dagster's storage.")
        return
    from finops_pipeline.orchestration.instance import open_instance

    try:
        with open_instance(settings) as instance:
            records = instance.get_run_records(limit=1)
    except FinopsError:
        raise
    except Exception as error:
        home = os.environ["DAGSTER_HOME"]
        yield fail(
            name,
            f"Dagster's storage in {home} does not answer ({type(error).__name__}).",
            "Restore that folder from a backup, or move it away: the next run makes an empty one. "
            "It holds the history of runs and no figures.",
        )
        return
    if records:
        yield ok(name, f"It answers; the newest run began {records[0].create_timestamp:%F %R} UTC.")
    else:
        yield ok(name, "It answers; no run was recorded yet.")


def disk_space(settings: Settings) -> Iterator[Check]:
    """Room for what a build writes: a second copy of the published file, and new readings."""
    name = "disk_space"
    folder = _existing(settings.data_dir)
    free = shutil.disk_usage(folder).free
    copy = settings.marts_path.stat().st_size if settings.marts_path.exists() else 0
    told = f"{free / _GIB:.1f} GiB are free in {folder}"
    fix = "Free some space, or move FINOPS_DATA_DIR to a larger disk."
    if free < copy + _ROOM_AT_LEAST:
        yield fail(name, f"{told}, too little for a build.", fix)
    elif free < 2 * copy + _ROOM_TO_WORK:
        yield warn(name, f"{told}, which will not last long.", fix)
    else:
        yield ok(name, f"{told}.")


def _existing(path: Path) -> Path:
    """The path, or its nearest parent that exists."""
    return next(folder for folder in (path, *path.parents) if folder.exists())


def _ago(age: timedelta) -> str:
    hours = age.total_seconds() / 3600
    if hours < 1:
        return "less than an hour ago"
    return f"{hours:.0f} hours ago" if hours < 48 else f"{hours / 24:.0f} days ago"

"""Dagster's instance: one for the command line and the UI, so that each sees the other's runs."""

from __future__ import annotations

import atexit
import os
import shutil
import sqlite3
from functools import cache
from pathlib import Path
from uuid import uuid4

import dagster as dg
from filelock import BaseFileLock, FileLock, Timeout
from sqlalchemy import Engine, event

from finops_pipeline.errors import FinopsError, UsageError
from finops_pipeline.settings import Settings

_INSTANCE_CONFIG = Path(__file__).parents[2] / "dagster.yaml"
_PROCESS_TAG = "finops/process"
_OPENING_TIMEOUT_SECONDS = 60.0
_SPARED: set[Path] = set()
_KEPT_OPEN: dict[str, sqlite3.Connection] = {}


def dagster_home(settings: Settings) -> Path:
    """Dagster's home: ``DAGSTER_HOME`` where it is set, else in the data directory; created.

    Dagster itself reads the variable, so it is set for this process and its children.

    Raises:
        UsageError: ``DAGSTER_HOME`` is set to something that is no folder.
    """
    configured = os.environ.get("DAGSTER_HOME")
    if configured:
        folder = Path(configured)
        if not (folder.is_absolute() and folder.is_dir()):
            raise UsageError(
                f"DAGSTER_HOME is set to {configured!r}, which is not an existing folder with an "
                "absolute path.",
                "Create that folder, or unset it: then $FINOPS_DATA_DIR/dagster is used.",
            )
        return folder
    home = settings.dagster_home
    home.mkdir(parents=True, exist_ok=True)
    # In one step: another process may be reading it.
    fresh = home / f"dagster.yaml.{os.getpid()}"
    shutil.copyfile(_INSTANCE_CONFIG, fresh)
    fresh.replace(home / "dagster.yaml")
    os.environ["DAGSTER_HOME"] = str(home)
    return home


def open_instance(settings: Settings) -> dg.DagsterInstance:
    """The instance, with runs that died with their process marked as failed.

    Raises:
        UsageError: ``DAGSTER_HOME`` is set to something that is no folder.
        FinopsError: another process has been opening it for too long.
    """
    home = dagster_home(settings)
    try:
        # Dagster creates its databases at the first opening, and two at once break each other.
        with FileLock(home / "opening.lock", timeout=_OPENING_TIMEOUT_SECONDS):
            instance = dg.DagsterInstance.get()
    except Timeout:
        raise FinopsError(
            f"Another process has been opening {home} for {_OPENING_TIMEOUT_SECONDS:.0f} s.",
            "Stop it, then run this again.",
        ) from None
    _spare_the_disk(home)
    fail_dead_runs(instance)
    return instance


def enter_run(instance: dg.DagsterInstance, run_id: str) -> None:
    """Say of a run that this process executes it, and make recording its events quick."""
    # In the UI's own processes nobody has opened the instance here.
    _spare_the_disk(Path(instance.root_directory))
    instance.add_run_tags(run_id, process_tags(instance))


def _spare_the_disk(home: Path) -> None:
    """Let this process record Dagster's events without waiting for the disk at each of them.

    Dagster opens and closes a database for every event, and SQLite waits for the disk at every
    commit, and again when the last connection to a file is closed: hundreds of times in a build,
    which took most of its time. So one connection to each file stays open, and writing back is
    left to SQLite. Killed processes lose nothing by that, a power cut the newest events.
    """
    _SPARED.add((home / "history").resolve())


@event.listens_for(Engine, "connect")
def _on_connect(connection: object, _: object) -> None:
    if not (_SPARED and isinstance(connection, sqlite3.Connection)):
        return
    ((_number, _schema, file), *_attached) = connection.execute("PRAGMA database_list")
    if not file or _SPARED.isdisjoint(Path(file).parents):
        return
    connection.execute("PRAGMA synchronous = NORMAL")
    # One that joins before the file has a write-ahead log would not keep it.
    if file not in _KEPT_OPEN and connection.execute("PRAGMA journal_mode").fetchone() == ("wal",):
        kept = _KEPT_OPEN[file] = sqlite3.connect(file, check_same_thread=False)
        kept.execute("SELECT count(*) FROM sqlite_master").fetchone()


def remove_database(path: Path) -> None:
    """Remove one of Dagster's databases with its log, which stay where a connection was open."""
    kept = _KEPT_OPEN.pop(str(path.resolve()), None)
    if kept is not None:
        kept.close()
    for file in (path, *(path.with_name(path.name + suffix) for suffix in ("-wal", "-shm"))):
        file.unlink(missing_ok=True)


def fail_dead_runs(instance: dg.DagsterInstance) -> None:
    """Mark runs whose process has died as failed.

    A run that was killed stays "started" for ever, and a build is not begun by itself while
    anything seems to be under way.
    """
    for record in instance.get_run_records(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])):
        name = record.dagster_run.tags.get(_PROCESS_TAG)
        if name is not None and not _is_alive(_locks(instance) / name):
            instance.report_run_failed(record.dagster_run, "Its process died in mid-run.")


def remove_dead_processes(instance: dg.DagsterInstance, *, dry_run: bool = False) -> int:
    """Remove the signs of life of processes that died; how many, or with ``dry_run`` would be."""
    folder = _locks(instance)
    return sum(
        not _is_alive(path, remove=not dry_run)
        for path in (folder.iterdir() if folder.exists() else ())
    )


def process_tags(instance: dg.DagsterInstance) -> dict[str, str]:
    """Tags by which a later process recognises that this one has died.

    They name a file that this process holds locked while it lives. A process id alone is given
    again to another process, in a container on every start.
    """
    return {_PROCESS_TAG: _sign_of_life(_locks(instance))}


@cache
def _sign_of_life(folder: Path) -> str:
    folder.mkdir(exist_ok=True)
    path = folder / f"{os.getpid()}-{uuid4().hex}.lock"
    lock = FileLock(path, timeout=0, thread_local=False)
    lock.acquire()
    atexit.register(_end, lock, path)
    return path.name


def _end(lock: BaseFileLock, path: Path) -> None:
    path.unlink(missing_ok=True)
    lock.release()


def _locks(instance: dg.DagsterInstance) -> Path:
    return Path(instance.root_directory) / "processes"


def _is_alive(path: Path, *, remove: bool = True) -> bool:
    """Whether somebody holds the file; if nobody does it is removed."""
    if not path.exists():
        return False
    lock = FileLock(path, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        return True
    if remove:
        path.unlink(missing_ok=True)
    lock.release()
    return False

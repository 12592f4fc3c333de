"""From a finished build to the file that people read.

A build works in ``marts.building.duckdb``, a copy of the published file. Once dbt has built and
tested everything, the copy becomes ``marts.ready.<run>.duckdb``; publishing moves that into the
place of ``marts.duckdb`` in one step. Whatever a failed or killed build leaves is thrown away by
the next one.
"""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import duckdb

from finops_pipeline.errors import FinopsError

_READ_ONLY = 0o444
_ABANDONED_AFTER_SECONDS = 3600
_ANEW_AFTER = timedelta(days=7)


@dataclass(frozen=True)
class Published:
    """What lies in ``marts.duckdb`` now.

    Attributes:
        run_id: The build that made it.
        built_at: When that build began (UTC).
        superseded: A later build had already published; this one was dropped.
        rows: Rows per table.
        size_bytes: Size of the file.
    """

    run_id: str
    built_at: datetime
    superseded: bool
    rows: dict[str, int]
    size_bytes: int


def building_path(marts: Path) -> Path:
    """Where dbt builds. The name is constant, so that dbt's parsed project stays valid."""
    return marts.with_name("marts.building.duckdb")


def start_building(marts: Path) -> Path:
    """A fresh working copy of the published file (none published: no file). Only while writing."""
    building = building_path(marts)
    _discard(building)
    if marts.exists():
        shutil.copyfile(marts, building)
        building.chmod(0o644)
    return building


def begin_anew_if_due(marts: Path, *, state: str, now: datetime) -> bool:
    """Empty the working copy unless a build of ``state`` may continue it. Only while writing.

    Tables of another state of the dbt project may have other columns or another meaning, and those
    of models that are gone would stay. A copy that grew for a week begins anew as well: so
    everything is made and tested again now and then, and the file does not grow with what was
    replaced in it. A file that cannot be read is no beginning either.

    Args:
        state: Fingerprint of the dbt project.
        now: The present (UTC).

    Returns:
        Whether the copy is empty now.
    """
    building = building_path(marts)
    if building.exists():
        try:
            with duckdb.connect(str(building), read_only=True) as connection:
                began = connection.execute(
                    "SELECT began_at FROM internal.beginning WHERE project_state = $state",
                    {"state": state},
                ).fetchone()
        except duckdb.Error:
            began = None
        if began is not None and now - began[0] < _ANEW_AFTER:
            return False
        _discard(building)
    with duckdb.connect(str(building)) as connection:
        connection.execute("CREATE SCHEMA internal")
        connection.execute(
            "CREATE TABLE internal.beginning AS "
            "SELECT $state::VARCHAR AS project_state, $now::TIMESTAMPTZ AS began_at",
            {"state": state, "now": now},
        )
    return True


def finish_building(marts: Path, run_id: str) -> Path:
    """Seal the working copy of a build that succeeded; it waits for :func:`publish`."""
    building = building_path(marts)
    with duckdb.connect(str(building)) as connection:
        connection.execute("CHECKPOINT")
    _discard_wal(building)
    _fsync(building)
    building.chmod(_READ_ONLY)
    ready = _ready_path(marts, run_id)
    building.replace(ready)
    return ready


def publish(marts: Path, run_id: str) -> Published:
    """Put the sealed build of ``run_id`` in the place of ``marts.duckdb``. Only while writing.

    A build that began earlier than the published one is dropped: the published one has seen
    everything that it saw.

    Raises:
        FinopsError: this run has sealed no build.
    """
    ready = _ready_path(marts, run_id)
    if not ready.exists():
        raise FinopsError(
            f"Run {run_id} has no complete build to publish.",
            "Materialize all models together with the published file: `finops build`, or the "
            "job `build`.",
        )
    mine = _examined(ready)
    if mine.run_id != run_id:
        raise FinopsError(
            f"The build of run {run_id} carries the record of run {mine.run_id}.",
            "Run `finops build` again.",
        )
    published = _published_now(marts)
    if published is not None and published.built_at > mine.built_at:
        _discard(ready)
        return replace(published, superseded=True)
    # DuckDB replays any WAL it finds by name: one left by a killed read-write client would be
    # replayed into the new file.
    _discard_wal(marts)
    ready.replace(marts)
    _discard_wal(marts)
    _fsync(marts.parent)
    _discard_abandoned(marts)
    return mine


def _discard_abandoned(marts: Path) -> None:
    """Remove what runs left that were killed between their two last steps."""
    for ready in marts.parent.glob("marts.ready.*.duckdb"):
        if time.time() - ready.stat().st_mtime > _ABANDONED_AFTER_SECONDS:
            _discard(ready)


def _published_now(marts: Path) -> Published | None:
    """The published build; none where nothing lies there, or no build.

    Examined under another name, so that a WAL that a client left beside it is not replayed; a
    client that holds the file read-write must not keep a build from being published either.
    """
    if not marts.exists():
        return None
    other_name = marts.with_name("marts.examined.duckdb")
    # A link costs nothing, but a client's lock goes with it.
    for make in (os.link, shutil.copyfile):
        try:
            make(marts, other_name)
            return _examined(other_name)
        except (OSError, duckdb.Error, FinopsError):
            continue
        finally:
            _discard(other_name)
    return None


def _examined(path: Path) -> Published:
    with duckdb.connect(str(path), read_only=True) as connection:
        record = connection.execute("SELECT run_id, built_at FROM rpt_build").fetchone()
        if record is None:
            raise FinopsError(f"{path.name} carries no build record.", "Run `finops build` again.")
        names = connection.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'main' "
            "ORDER BY table_name"
        ).fetchall()
        rows = {
            name: connection.execute(f'SELECT count(*) FROM main."{name}"').fetchall()[0][0]
            for (name,) in names
        }
    return Published(
        run_id=record[0],
        built_at=record[1],
        superseded=False,
        rows=rows,
        size_bytes=path.stat().st_size,
    )


def _ready_path(marts: Path, run_id: str) -> Path:
    return marts.with_name(f"marts.ready.{run_id}.duckdb")


def _discard_wal(database: Path) -> None:
    """Remove the write-ahead log, and those that DuckDB names after it during a checkpoint."""
    for log in database.parent.glob(f"{database.name}.wal*"):
        log.unlink(missing_ok=True)


def _discard(database: Path) -> None:
    _discard_wal(database)
    database.unlink(missing_ok=True)


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

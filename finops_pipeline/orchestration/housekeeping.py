"""Deleting what nobody needs any more: incomplete loads, old runs, files of dead processes."""

import json
import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import dagster as dg

from finops_pipeline.errors import FinopsError
from finops_pipeline.ingestion.leftovers import delete_incomplete_loads
from finops_pipeline.orchestration.instance import (
    enter_run,
    fail_dead_runs,
    remove_database,
    remove_dead_processes,
)
from finops_pipeline.orchestration.jobs import HOUSEKEEPING
from finops_pipeline.orchestration.pipeline import Pipeline

_ENDED = [
    dg.DagsterRunStatus.SUCCESS,
    dg.DagsterRunStatus.FAILURE,
    dg.DagsterRunStatus.CANCELED,
]
_PAGE = 1000


@dataclass(frozen=True)
class Swept:
    """What was deleted, or with a dry run would be.

    Attributes:
        rows: Rows of incomplete loads, per raw table.
        runs: Dagster runs with their events.
        runs_kept: Old runs that Dagster still needs: they hold the newest event of a day.
        folders: Scratch folders of processes that died.
        processes: Files by which a process that died was known to be alive.
    """

    rows: dict[str, int]
    runs: int
    runs_kept: int
    folders: int
    processes: int


def sweep(pipeline: Pipeline, instance: dg.DagsterInstance, *, dry_run: bool = False) -> Swept:
    """Delete what nobody needs any more.

    Raises:
        FinopsError: the warehouse is held by somebody else for too long.
    """
    settings, now = pipeline.settings, pipeline.now()
    rows = delete_incomplete_loads(
        pipeline.warehouse,
        before=now - timedelta(hours=settings.keep_incomplete_loads_hours),
        dry_run=dry_run,
    )
    folders = pipeline.warehouse.remove_dead_scratch_folders(dry_run=dry_run)
    fail_dead_runs(instance)
    processes = remove_dead_processes(instance, dry_run=dry_run)
    needed = _runs_with_newest_events(instance)
    wanted = dg.RunsFilter(
        statuses=_ENDED, updated_before=now - timedelta(days=settings.keep_runs_days)
    )
    old = [record.dagster_run.run_id for record in instance.get_run_records(wanted)]
    deleted = [run_id for run_id in old if run_id not in needed]
    if not dry_run:
        for run_id in deleted:
            _delete_run(instance, run_id)
        _delete_check_executions(instance, deleted)
    return Swept(rows, len(deleted), len(old) - len(deleted), folders, processes)


def _runs_with_newest_events(instance: dg.DagsterInstance) -> set[str]:
    """Runs that hold the newest materialization of an asset, or of a day of it.

    With such a run its day would turn from green to missing, and the sensors would no longer know
    what has landed.
    """
    needed = set()
    for key in instance.get_asset_keys():
        seen: set[str | None] = set()
        cursor, more = None, True
        while more:
            page = instance.fetch_materializations(key, limit=_PAGE, cursor=cursor)
            cursor, more = page.cursor, page.has_more
            for record in page.records:
                if record.partition_key not in seen:
                    seen.add(record.partition_key)
                    needed.add(record.run_id)
    return needed


def _delete_run(instance: dg.DagsterInstance, run_id: str) -> None:
    instance.delete_run(run_id)
    # With SQLite, Dagster empties the run's own files and leaves them.
    home = Path(instance.root_directory)
    remove_database(home / "history" / "runs" / f"{run_id}.db")
    shutil.rmtree(home / "storage" / run_id, ignore_errors=True)


def _delete_check_executions(instance: dg.DagsterInstance, run_ids: Sequence[str]) -> None:
    """Delete what checks said in runs that are deleted, but for the newest word of each check.

    Dagster leaves all of it, a hundred rows a build, and offers no way to delete it. Where it keeps
    its tables elsewhere than in SQLite they are left alone.
    """
    index = Path(instance.root_directory) / "history" / "runs" / "index.db"
    if not index.exists():
        return
    with closing(sqlite3.connect(index, timeout=60)) as connection, connection:
        connection.execute(
            """
            DELETE FROM asset_check_executions
            WHERE run_id IN (SELECT value FROM json_each(?)) AND id NOT IN (
              SELECT max(id) FROM asset_check_executions GROUP BY asset_key, check_name
            )
            """,
            [json.dumps(run_ids)],
        )


def build_housekeeping_job(pipeline: Pipeline) -> dg.JobDefinition:
    """The job ``housekeeping``."""

    @dg.op(name="sweep", config_schema={})
    def sweep_all(context: dg.OpExecutionContext) -> None:
        enter_run(context.instance, context.run.run_id)
        try:
            swept = sweep(pipeline, context.instance)
        except FinopsError as error:
            raise dg.Failure(str(error), allow_retries=False) from error
        context.log.info(in_words(swept))

    @dg.job(
        name=HOUSEKEEPING,
        description="Delete incomplete loads, old runs and what dead processes left behind.",
    )
    def housekeeping() -> None:
        sweep_all()

    return housekeeping


def in_words(swept: Swept, *, dry_run: bool = False) -> str:
    """One sentence."""
    return (
        f"{'Would delete' if dry_run else 'Deleted'} {sum(swept.rows.values())} rows of "
        f"incomplete loads, {swept.runs} old runs ({swept.runs_kept} more are old and still "
        f"needed), {swept.folders} scratch folders and {swept.processes} files of processes "
        "that died."
    )

"""Which run a run resumes: one that was cancelled, killed or failed, and what it landed stays.

A run resumes another where Dagster calls it a re-execution of that one: *Re-execute* in the UI,
or ``finops run --resume``. Any other run reads its days anew, however recently they were read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import dagster as dg

from finops_pipeline.errors import UsageError

RANGE_START_TAG = "dagster/asset_partition_range_start"
RANGE_END_TAG = "dagster/asset_partition_range_end"

_PARENT_TAG = "dagster/parent_run_id"
_ROOT_TAG = "dagster/root_run_id"
_BROKEN_OFF = (dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)
_RUNS_LOOKED_AT = 100


def range_tags(start: date, end: date) -> dict[str, str]:
    """Tags that make a run of the job ``collect`` read these UTC days, both inclusive."""
    return {RANGE_START_TAG: start.isoformat(), RANGE_END_TAG: end.isoformat()}


def broken_off_runs(instance: dg.DagsterInstance, run: dg.DagsterRun) -> list[str]:
    """Ids of the runs that ``run`` continues: its parent, what that one continued, and so on.

    They end at a run that succeeded: to re-execute that one means to read again.
    """
    found: list[str] = []
    parent = instance.get_run_by_id(run.tags.get(_PARENT_TAG, ""))
    while parent is not None and parent.status in _BROKEN_OFF:
        found.append(parent.run_id)
        parent = instance.get_run_by_id(parent.tags.get(_PARENT_TAG, ""))
    return found


@dataclass(frozen=True)
class Resumption:
    """What a run asked for that broke off: days (UTC, both inclusive), teams, endpoints and assets.

    No teams, no endpoints and no assets: all of them.
    """

    run_id: str
    start: date
    end: date
    teams: list[str]
    endpoints: list[str]
    assets: list[dg.AssetKey]
    tags: dict[str, str]


def teams_of(run: dg.DagsterRun, op: str) -> list[str]:
    """The teams that a run was configured with; none: all of them."""
    return list(_config_of(run, op).get("teams", ()))


def endpoints_of(run: dg.DagsterRun, op: str) -> list[str]:
    """The endpoints that a run was configured with; none: all of its assets."""
    return list(_config_of(run, op).get("endpoints", ()))


def _config_of(run: dg.DagsterRun, op: str) -> Mapping[str, Any]:
    config: Mapping[str, Any] = run.run_config
    for name in ("ops", op, "config"):
        config = config.get(name, {})
    return config


def newest_broken_off(instance: dg.DagsterInstance, *, job: str, op: str) -> Resumption:
    """The newest run of ``job`` that broke off and that no later run has finished.

    Raises:
        UsageError: there is none.
    """
    finished: set[str] = set()
    for run in instance.get_runs(dg.RunsFilter(job_name=job), limit=_RUNS_LOOKED_AT):
        if run.status is dg.DagsterRunStatus.SUCCESS:
            finished |= {run.run_id, *broken_off_runs(instance, run)}
        elif (
            run.status in _BROKEN_OFF and run.run_id not in finished and RANGE_START_TAG in run.tags
        ):
            return Resumption(
                run.run_id,
                date.fromisoformat(run.tags[RANGE_START_TAG]),
                date.fromisoformat(run.tags[RANGE_END_TAG]),
                teams_of(run, op),
                endpoints_of(run, op),
                sorted(run.asset_selection or ()),
                {_PARENT_TAG: run.run_id, _ROOT_TAG: run.tags.get(_ROOT_TAG, run.run_id)},
            )
    raise UsageError(
        "There is no collection that broke off.",
        "To read days again, name them with --from and --to.",
    )

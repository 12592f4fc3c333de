"""Whether every expected (team, endpoint, day) was read, by the ledger; a check of raw data."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

import dagster as dg

from finops_pipeline.errors import UsageError
from finops_pipeline.ingestion.days import ranges
from finops_pipeline.ingestion.endpoints import BucketEndpoint
from finops_pipeline.ingestion.gaps import Gap, find_gaps
from finops_pipeline.orchestration.asset_keys import OPENAI_OP
from finops_pipeline.orchestration.pipeline import Pipeline
from finops_pipeline.orchestration.resuming import (
    RANGE_END_TAG,
    RANGE_START_TAG,
    endpoints_of,
    teams_of,
)
from finops_pipeline.registry import Registry
from finops_pipeline.warehouse.warehouse import Warehouse

EVERY_DAY = "every_day_collected"
EVERY_DAY_DESCRIPTION = """\
Every active team with a key was read for every day from its first requested day to yesterday.

Looks at the whole ledger, not at one run. A warning while gaps are being tried again; an error
once five tries in a row have failed, after which somebody has to look.
"""
TRIES = 5
"""After so many failed tries in a row nothing is asked for by itself any more."""
REPAIR_TAG = {"finops/started_by": "repair_gaps"}


def current_gaps(
    pipeline: Pipeline,
    warehouse: Warehouse,
    registry: Registry,
    instance: dg.DagsterInstance,
    endpoints: Sequence[str],
) -> list[Gap]:
    """The gaps at some endpoints of all teams that can be read at present.

    A repair that ended before it could write anything into the ledger is a try, too: otherwise a
    run that cannot even begin would be started again at each evaluation. It is known for as long
    as Dagster keeps the run.

    Raises:
        FinopsError: the warehouse is held for too long.
    """
    try:
        teams = registry.collectable_teams(None)
    except UsageError:  # every team was deactivated
        return []
    gaps = find_gaps(
        warehouse,
        endpoints=endpoints,
        keys={team.team_id: team.key.key_id for team in teams if team.key is not None},
        first_day=pipeline.settings.start_date,
        now=pipeline.now(),
    )
    ended = [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
    lost = instance.get_run_records(dg.RunsFilter(tags=REPAIR_TAG, statuses=ended)) if gaps else []
    return [_with_lost_runs(gap, lost) for gap in gaps]


def _with_lost_runs(gap: Gap, lost: Sequence[dg.RunRecord]) -> Gap:
    missed = [record for record in lost if _should_have_read(record, gap)]
    if not missed:
        return gap
    run_ids = [record.dagster_run.run_id for record in missed]
    ended = [record.update_timestamp for record in missed]
    return replace(
        gap,
        tries=gap.tries | set(run_ids),
        tried_at=max([*ended, gap.tried_at] if gap.tried_at else ended),
        error=gap.error or f"Run {run_ids[0]} ended before it read anything.",
    )


def _should_have_read(record: dg.RunRecord, gap: Gap) -> bool:
    run = record.dagster_run
    endpoints = endpoints_of(run, OPENAI_OP)
    return (
        run.run_id not in gap.failed_runs
        and gap.team_id in teams_of(run, OPENAI_OP)
        and (not endpoints or gap.endpoint in endpoints)
        and run.tags[RANGE_START_TAG] <= gap.day.isoformat() <= run.tags[RANGE_END_TAG]
        and (gap.read_at is None or gap.read_at < record.update_timestamp)
    )


def gaps_of(gaps: Iterable[Gap], endpoints: Iterable[BucketEndpoint]) -> list[Gap]:
    """Those at some endpoints, as an asset's."""
    names = {endpoint.name for endpoint in endpoints}
    return [gap for gap in gaps if gap.endpoint in names]


def verdict(gaps: Sequence[Gap]) -> dict[str, Any]:
    """The check's result: passed, severity, description and metadata."""
    given_up = [gap for gap in gaps if len(gap.tries) >= TRIES]
    if not gaps:
        text = "Nothing is missing."
    else:
        teams = sorted({gap.team_id for gap in given_up or gaps})
        text = (
            f"{len(given_up)} buckets failed {TRIES} times and are given up"
            if given_up
            else f"{len(gaps)} buckets are missing or failed"
        ) + f", of {', '.join(teams)}. The newest error: {_newest_error(given_up or gaps)}"
    return {
        "passed": not gaps,
        "severity": (dg.AssetCheckSeverity.ERROR if given_up else dg.AssetCheckSeverity.WARN),
        "description": text,
        "metadata": {"gaps": _table(gaps)} if gaps else {},
    }


def _newest_error(gaps: Sequence[Gap]) -> str:
    failed = [gap for gap in gaps if gap.error is not None]
    if not failed:
        return "none, these days were never asked for."
    return str(max(failed, key=lambda gap: (gap.tried_at is not None, gap.tried_at)).error)


def _kind(gap: Gap) -> tuple[str, str, int, str]:
    return gap.team_id, gap.endpoint, len(gap.tries), gap.error or ""


def _table(gaps: Sequence[Gap]) -> dg.TableMetadataValue:
    """One line per team, endpoint and contiguous days that failed equally often for one reason."""
    records = []
    for (team, endpoint, tries, error), alike in groupby(
        sorted(gaps, key=lambda gap: (*_kind(gap), gap.day)), key=_kind
    ):
        for first, last in ranges([gap.day for gap in alike]):
            records.append(
                dg.TableRecord(
                    {
                        "team_id": team,
                        "endpoint": endpoint,
                        "first_day": first.isoformat(),
                        "last_day": last.isoformat(),
                        "failed_tries": tries,
                        "given_up": tries >= TRIES,
                        "error": error or "never asked for",
                    }
                )
            )
    return dg.MetadataValue.table(
        records,
        schema=dg.TableSchema(
            [
                dg.TableColumn("team_id", "string"),
                dg.TableColumn("endpoint", "string"),
                dg.TableColumn("first_day", "string"),
                dg.TableColumn("last_day", "string"),
                dg.TableColumn("failed_tries", "int"),
                dg.TableColumn("given_up", "bool"),
                dg.TableColumn("error", "string"),
            ]
        ),
    )

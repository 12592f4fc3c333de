"""The sensor that reads again what is missing, and gives up where that does not help."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

import dagster as dg

from finops_pipeline.errors import FinopsError
from finops_pipeline.ingestion.days import ranges
from finops_pipeline.ingestion.endpoints import ENDPOINT_NAMES
from finops_pipeline.ingestion.gaps import Gap
from finops_pipeline.orchestration.completeness import EVERY_DAY, TRIES, current_gaps, verdict
from finops_pipeline.orchestration.instance import fail_dead_runs
from finops_pipeline.orchestration.jobs import BUILD, COLLECT, UNDER_WAY
from finops_pipeline.orchestration.pipeline import Pipeline
from finops_pipeline.orchestration.raw import ENDPOINTS_OF, OPENAI_OP
from finops_pipeline.orchestration.resuming import (
    RANGE_END_TAG,
    RANGE_START_TAG,
    range_tags,
    teams_of,
)

_REPAIR_TAG = {"finops/started_by": "repair_gaps"}
_FIRST_WAIT = timedelta(hours=1)
_RUNS_AT_ONCE = 4
_REMEMBERED = timedelta(days=60)
_PATIENCE_SECONDS = 10.0
"""Dagster gives a sensor's evaluation a minute."""


@dataclass(frozen=True)
class Repair:
    """One run: these teams for these days (UTC, both inclusive)."""

    start: date
    end: date
    teams: tuple[str, ...]


def build_repair_sensor(pipeline: Pipeline, status: dg.DefaultSensorStatus) -> dg.SensorDefinition:
    """The sensor ``repair_gaps``."""

    @dg.sensor(
        name="repair_gaps",
        job_name=COLLECT,
        default_status=status,
        minimum_interval_seconds=300,
        description=(
            "Reads (team, endpoint, day) buckets that are missing or failed: at once, then after "
            f"1, 2, 4 and 8 hours. After {TRIES} failed tries it stops, and the check {EVERY_DAY} "
            "of raw/costs or raw/usage says so as an error."
        ),
    )
    def repair_gaps(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        instance = context.instance
        fail_dead_runs(instance)
        # A build reads nothing from OpenAI and may take its time; anything else may be reading.
        busy = [
            run
            for run in instance.get_runs(dg.RunsFilter(statuses=UNDER_WAY))
            if run.job_name != BUILD
        ]
        if busy:
            return dg.SkipReason(f"Run {busy[0].run_id} ({busy[0].job_name}) is under way.")
        now = pipeline.now()
        try:
            with pipeline.open_registry() as registry:
                warehouse = pipeline.warehouse.with_patience(_PATIENCE_SECONDS)
                gaps = current_gaps(pipeline, warehouse, registry, ENDPOINT_NAMES)
        except FinopsError as error:
            return dg.SkipReason(str(error))
        gaps = with_lost_runs(gaps, instance, now)
        repairs = plan(gaps, now)
        judged = {
            key: verdict([gap for gap in gaps if gap.endpoint in {each.name for each in endpoints}])
            for key, endpoints in ENDPOINTS_OF.items()
        }
        digests = {
            key.to_user_string(): hashlib.sha256(repr(each).encode()).hexdigest()
            for key, each in judged.items()
        }
        said = json.loads(context.cursor) if context.cursor else {}
        return dg.SensorResult(
            run_requests=[_request(repair) for repair in repairs],
            skip_reason=None if repairs else dg.SkipReason(verdict(gaps)["description"]),
            # Said again only when it has changed.
            asset_events=[
                dg.AssetCheckEvaluation(asset_key=key, check_name=EVERY_DAY, **each)
                for key, each in judged.items()
                if said.get(key.to_user_string()) != digests[key.to_user_string()]
            ],
            cursor=json.dumps(digests),
        )

    return repair_gaps


def plan(gaps: Iterable[Gap], now: datetime) -> list[Repair]:
    """The runs that read exactly the gaps whose turn it is; teams with equal days share one."""
    days: dict[str, set[date]] = defaultdict(set)
    for gap in gaps:
        if _is_due(gap, now):
            days[gap.team_id].add(gap.day)
    teams: dict[tuple[date, date], list[str]] = defaultdict(list)
    for team, missing in sorted(days.items()):
        for stretch in ranges(sorted(missing)):
            teams[stretch].append(team)
    repairs = [Repair(start, end, tuple(who)) for (start, end), who in sorted(teams.items())]
    return repairs[:_RUNS_AT_ONCE]


def _is_due(gap: Gap, now: datetime) -> bool:
    tries = len(gap.tries)
    if tries >= TRIES:
        return False
    return gap.tried_at is None or now >= gap.tried_at + _FIRST_WAIT * 2 ** (tries - 1)


def with_lost_runs(gaps: Sequence[Gap], instance: dg.DagsterInstance, now: datetime) -> list[Gap]:
    """Count repairs that ended before they could write anything into the ledger as tries, too.

    Otherwise a run that cannot even begin would be started again at each evaluation.
    """
    wanted = dg.RunsFilter(
        tags=_REPAIR_TAG,
        statuses=[dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED],
        created_after=now - _REMEMBERED,
    )
    lost = instance.get_run_records(wanted)
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
    return (
        run.run_id not in gap.failed_runs
        and gap.team_id in teams_of(run, OPENAI_OP)
        and run.tags[RANGE_START_TAG] <= gap.day.isoformat() <= run.tags[RANGE_END_TAG]
        and (gap.read_at is None or gap.read_at < record.update_timestamp)
    )


def _request(repair: Repair) -> dg.RunRequest:
    return dg.RunRequest(
        run_config={"ops": {OPENAI_OP: {"config": {"teams": list(repair.teams)}}}},
        tags={**range_tags(repair.start, repair.end), **_REPAIR_TAG},
    )

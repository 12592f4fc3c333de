"""The sensor that reads again what is missing, and gives up where that does not help."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import dagster as dg

from finops_pipeline.errors import FinopsError
from finops_pipeline.ingestion.days import ranges
from finops_pipeline.ingestion.endpoints import ENDPOINT_NAMES
from finops_pipeline.ingestion.gaps import Gap
from finops_pipeline.orchestration.asset_keys import OPENAI_OP
from finops_pipeline.orchestration.completeness import (
    EVERY_DAY,
    REPAIR_TAG,
    TRIES,
    current_gaps,
    gaps_of,
    verdict,
)
from finops_pipeline.orchestration.instance import fail_dead_runs
from finops_pipeline.orchestration.jobs import BUILD, COLLECT, UNDER_WAY
from finops_pipeline.orchestration.pipeline import Pipeline
from finops_pipeline.orchestration.raw import ENDPOINTS_OF
from finops_pipeline.orchestration.resuming import range_tags

_FIRST_WAIT = timedelta(hours=1)
_RUNS_AT_ONCE = 4
_PATIENCE_SECONDS = 10.0
"""Dagster gives a sensor's evaluation a minute."""


@dataclass(frozen=True)
class Repair:
    """One run: these teams at these endpoints for these days (UTC, both inclusive)."""

    start: date
    end: date
    teams: tuple[str, ...]
    endpoints: tuple[str, ...]


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
                gaps = current_gaps(pipeline, warehouse, registry, instance, ENDPOINT_NAMES)
        except FinopsError as error:
            return dg.SkipReason(str(error))
        repairs = plan(gaps, now)
        judged = {key: verdict(gaps_of(gaps, endpoints)) for key, endpoints in ENDPOINTS_OF.items()}
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
    """The runs that read exactly the gaps whose turn it is, and as few as may be."""
    missing: dict[tuple[str, str], list[date]] = defaultdict(list)
    for gap in gaps:
        if _is_due(gap, now):
            missing[gap.team_id, gap.endpoint].append(gap.day)
    # Not by day, then endpoint: each stretch of an endpoint's days stays in one piece, which takes
    # the fewest calls.
    stretches: dict[tuple[date, date], set[tuple[str, str]]] = defaultdict(set)
    for bucket, days in missing.items():
        for stretch in ranges(sorted(days)):
            stretches[stretch].add(bucket)
    repairs = [
        Repair(start, end, teams, endpoints)
        for (start, end), buckets in sorted(stretches.items())
        for teams, endpoints in _blocks(buckets)
    ]
    return repairs[:_RUNS_AT_ONCE]


def _blocks(buckets: set[tuple[str, str]]) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """(Team, endpoint) pairs as blocks of teams times endpoints, each pair in exactly one.

    Teams share a block that miss the same endpoints, or endpoints do that miss the same teams:
    whichever makes fewer.
    """
    by_team = _alike(buckets)
    by_endpoint = _alike({(endpoint, team) for team, endpoint in buckets})
    if len(by_endpoint) < len(by_team):
        return sorted((teams, endpoints) for teams, endpoints in by_endpoint.items())
    return sorted((teams, endpoints) for endpoints, teams in by_team.items())


def _alike(pairs: set[tuple[str, str]]) -> Mapping[tuple[str, ...], tuple[str, ...]]:
    """Sets of second elements, and the first elements that are paired with just those."""
    seconds: dict[str, list[str]] = defaultdict(list)
    for first, second in sorted(pairs):
        seconds[first].append(second)
    firsts: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for first, paired in seconds.items():
        firsts[tuple(paired)].append(first)
    return {paired: tuple(alike) for paired, alike in firsts.items()}


def _is_due(gap: Gap, now: datetime) -> bool:
    tries = len(gap.tries)
    if tries >= TRIES:
        return False
    return gap.tried_at is None or now >= gap.tried_at + _FIRST_WAIT * 2 ** (tries - 1)


def _request(repair: Repair) -> dg.RunRequest:
    config = {"teams": list(repair.teams), "endpoints": list(repair.endpoints)}
    return dg.RunRequest(
        run_config={"ops": {OPENAI_OP: {"config": config}}},
        asset_selection=[
            key
            for key, endpoints in ENDPOINTS_OF.items()
            if any(endpoint.name in repair.endpoints for endpoint in endpoints)
        ],
        tags={**range_tags(repair.start, repair.end), **REPAIR_TAG},
    )

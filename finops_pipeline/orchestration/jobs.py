"""The two jobs, and what starts the second after the first.

Collecting is partitioned by day, building is not. In one job Dagster would plan an event per
asset *and day*, unpartitioned assets included: minutes of bookkeeping for a long backfill.
"""

from __future__ import annotations

import dagster as dg

from finops_pipeline.orchestration.asset_keys import (
    COSTS_KEY,
    LEGACY_KEY,
    PRICES_KEY,
    PUBLISHED_KEY,
    REQUESTS_KEY,
    USAGE_KEY,
)
from finops_pipeline.orchestration.instance import fail_dead_runs

COLLECT = "collect"
COLLECT_LEGACY = "collect_legacy_usage"
LOAD_REQUESTS = "load_requests"
HOUSEKEEPING = "housekeeping"
BUILD = "build"
BUILT_AT = "built_at"
"""Metadata of the published file: when its build began."""

_BUILT_GROUPS = ("staging", "intermediate", "marts", "published")
UNDER_WAY = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def built_assets() -> dg.AssetSelection:
    """Everything that a build makes: all models, and the published file."""
    return dg.AssetSelection.groups(*_BUILT_GROUPS)


def collect_job() -> dg.UnresolvedAssetJobDefinition:
    """Raw costs and usage of a range of days."""
    return dg.define_asset_job(
        COLLECT,
        selection=dg.AssetSelection.assets(COSTS_KEY, USAGE_KEY),
        description="Read costs and usage from OpenAI for a range of days, all teams or some.",
    )


def collect_legacy_job() -> dg.UnresolvedAssetJobDefinition:
    """Legacy usage of a range of days, which no schedule asks for."""
    return dg.define_asset_job(
        COLLECT_LEGACY,
        selection=dg.AssetSelection.assets(LEGACY_KEY),
        description="Read what project keys see of the legacy usage endpoint, at its slow pace.",
    )


def load_requests_job() -> dg.UnresolvedAssetJobDefinition:
    """Request logs that wait in the watched folder."""
    return dg.define_asset_job(
        LOAD_REQUESTS,
        selection=dg.AssetSelection.assets(REQUESTS_KEY),
        description="Land every file of request logs that waits in FINOPS_REQUEST_LOGS_DIR.",
    )


def build_job() -> dg.UnresolvedAssetJobDefinition:
    """Models, tests and the published file."""
    return dg.define_asset_job(
        BUILD,
        selection=built_assets() | dg.AssetSelection.checks_for_assets(PRICES_KEY),
        description="Build and test the marts from what has landed, and publish them.",
    )


@dg.sensor(
    job_name=BUILD,
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=10,
    description="Starts a build once new raw data has landed and nothing is being collected.",
)
def build_after_collecting(
    context: dg.SensorEvaluationContext,
) -> dg.RunRequest | dg.SkipReason:
    """Build once after anything landed, whichever job, backfill or process landed it.

    No automation condition, because those decide asset by asset: the models of the registry
    depend on no raw data and were left out, and a build of some models publishes nothing. They also
    took a landing in mid-build for built.
    """
    instance = context.instance
    landed = _newest_landing(instance)
    if landed is None:
        return dg.SkipReason("Nothing has landed yet.")
    fail_dead_runs(instance)
    if instance.get_runs_count(dg.RunsFilter(statuses=UNDER_WAY)):
        return dg.SkipReason("A collection or a build is under way.")
    published = _newest(instance, PUBLISHED_KEY)
    if published is not None and _built_at(published) > landed.timestamp:
        return dg.SkipReason("The published marts were built after the newest landing.")
    # The key keeps a build that failed from being tried again before anything else has landed.
    return dg.RunRequest(run_key=f"landing-{landed.storage_id}")


def _newest_landing(instance: dg.DagsterInstance) -> dg.EventLogRecord | None:
    """The newest day that was read, or that was read for no team: marts show that as well."""
    found: list[dg.EventLogRecord] = []
    for key in (COSTS_KEY, USAGE_KEY, LEGACY_KEY, REQUESTS_KEY):
        found += instance.fetch_materializations(key, limit=1).records
        found += instance.fetch_observations(key, limit=1).records
    return max(found, key=lambda record: record.storage_id, default=None)


def _newest(instance: dg.DagsterInstance, key: dg.AssetKey) -> dg.EventLogRecord | None:
    records = instance.fetch_materializations(key, limit=1).records
    return records[0] if records else None


def _built_at(published: dg.EventLogRecord) -> float:
    """When the published build began (seconds since 1970): it has seen what landed before."""
    materialization = published.asset_materialization
    assert materialization is not None
    return float(materialization.metadata[BUILT_AT].value)  # type: ignore[arg-type]

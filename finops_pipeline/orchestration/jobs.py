"""The two jobs, and what starts the second after the first.

Collecting is partitioned by day, building is not. In one job Dagster would plan an event per
asset *and day*, unpartitioned assets included: minutes of bookkeeping for a long backfill.
"""

from __future__ import annotations

import dagster as dg

from finops_pipeline.orchestration.costs import COSTS_KEY

COLLECT = "collect"
BUILD = "build"

_BUILT_GROUPS = ("staging", "intermediate", "marts", "published")


def built_assets() -> dg.AssetSelection:
    """Everything that a build makes: all models, and the published file."""
    return dg.AssetSelection.groups(*_BUILT_GROUPS)


def collect_job() -> dg.UnresolvedAssetJobDefinition:
    """Raw costs of a range of days."""
    return dg.define_asset_job(
        COLLECT,
        selection=dg.AssetSelection.assets(COSTS_KEY),
        description="Read costs from OpenAI for a range of days, all teams or some.",
    )


def build_job() -> dg.UnresolvedAssetJobDefinition:
    """Models, tests and the published file."""
    return dg.define_asset_job(
        BUILD,
        selection=built_assets(),
        description="Build and test the marts from what has landed, and publish them.",
    )


def after_collecting() -> dg.AutomationCondition[dg.AssetKey | dg.AssetCheckKey]:
    """Build once after anything landed, whichever job or backfill landed it.

    ``eager()`` waits for every day of the range's partitions and never fires here.
    """
    landed = dg.AutomationCondition.any_deps_updated().since(
        dg.AutomationCondition.newly_requested() | dg.AutomationCondition.newly_updated()
    )
    return (
        landed
        & ~dg.AutomationCondition.any_deps_in_progress()
        & ~dg.AutomationCondition.in_progress()
    ).with_label("after collecting")


def build_after_collecting() -> dg.AutomationConditionSensorDefinition:
    """The sensor that evaluates :func:`after_collecting`; on by default."""
    return dg.AutomationConditionSensorDefinition(
        "build_after_collecting",
        target=built_assets(),
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=10,
        description="Starts a build once new raw data has landed and nothing is being collected.",
    )

"""The asset ``raw/legacy_usage``: read only where it is asked for, slowly, with project keys."""

from collections.abc import Iterator
from datetime import date

import dagster as dg

from finops_pipeline.errors import FinopsError
from finops_pipeline.ingestion.endpoints import LEGACY_ENDPOINT
from finops_pipeline.ingestion.legacy import collect_legacy
from finops_pipeline.orchestration.asset_keys import LEGACY_KEY
from finops_pipeline.orchestration.instance import enter_run
from finops_pipeline.orchestration.partitions import daily_partitions
from finops_pipeline.orchestration.pipeline import Pipeline
from finops_pipeline.orchestration.raw import CollectConfig
from finops_pipeline.orchestration.reporting import (
    EVERY_TEAM,
    DaysOfAsset,
    Reporter,
    every_team,
    read_for_nobody,
)
from finops_pipeline.orchestration.resuming import broken_off_runs

LEGACY_OP = "legacy_usage"

_DESCRIPTION = """\
What the legacy usage endpoint told the project keys: one UTC day is a partition, the team a column.

Optional, and no part of the job `collect`: OpenAI takes five calls a minute and key, and a call is
one day. A day that nobody asks for is not missing. A team without project keys is left out; where
one of its keys fails, the day fails for the team. Rows are immutable, as those of the costs. They
count for days that the organization's own usage endpoints do not tell, and never beside them.
"""


def build_legacy_asset(pipeline: Pipeline) -> dg.AssetsDefinition:
    """The asset ``raw/legacy_usage`` with its check."""

    @dg.multi_asset(
        name=LEGACY_OP,
        specs=[
            dg.AssetSpec(
                LEGACY_KEY,
                description=_DESCRIPTION,
                group_name="raw",
                kinds={"openai", "dlt", "duckdb"},
                skippable=True,
            )
        ],
        check_specs=[
            dg.AssetCheckSpec(
                EVERY_TEAM,
                asset=LEGACY_KEY,
                description="No team's reading failed on any day of the run.",
            )
        ],
        partitions_def=daily_partitions(pipeline.settings.start_date),
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def legacy_usage(
        context: dg.AssetExecutionContext, config: CollectConfig
    ) -> Iterator[dg.AssetCheckResult]:
        enter_run(context.instance, context.run.run_id)
        days = sorted(date.fromisoformat(key) for key in context.partition_keys)
        try:
            with pipeline.open_registry(context.run.run_id) as registry:
                teams = registry.teams_with_project_keys(config.teams or None)
                reports = DaysOfAsset(context, LEGACY_KEY, len(teams))
                collection = collect_legacy(
                    warehouse=pipeline.warehouse,
                    teams=teams,
                    registry=registry,
                    make_client=pipeline.make_legacy_client,
                    start=days[0],
                    end=days[-1],
                    run_id=context.run.run_id,
                    concurrency=pipeline.settings.max_concurrent_teams,
                    resumed_runs=broken_off_runs(context.instance, context.run),
                    on_progress=Reporter(pipeline, context),
                    on_landed=reports.landed,
                )
        except FinopsError as error:
            raise dg.Failure(str(error), allow_retries=False) from error
        pipeline.on_collected(collection)
        yield every_team(collection, LEGACY_KEY, [LEGACY_ENDPOINT.name])
        if reports.empty_handed:
            raise read_for_nobody(
                LEGACY_KEY, reports.empty_handed, len(days), collection.failed_teams
            )

    return legacy_usage

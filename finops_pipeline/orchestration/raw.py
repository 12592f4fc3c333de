"""The raw data: costs and usage, two daily-partitioned assets that one step reads for all teams."""

from collections.abc import Iterator, Sequence
from datetime import date

import dagster as dg
from pydantic import Field

from finops_pipeline.errors import FinopsError
from finops_pipeline.ingestion.collect import collect
from finops_pipeline.ingestion.endpoints import (
    COSTS_ENDPOINT,
    USAGE_ENDPOINTS,
    BucketEndpoint,
)
from finops_pipeline.ingestion.outcome import BucketOutcome
from finops_pipeline.orchestration.asset_keys import COSTS_KEY, USAGE_KEY
from finops_pipeline.orchestration.completeness import (
    EVERY_DAY,
    EVERY_DAY_DESCRIPTION,
    current_gaps,
    verdict,
)
from finops_pipeline.orchestration.instance import enter_run
from finops_pipeline.orchestration.partitions import daily_partitions
from finops_pipeline.orchestration.pipeline import Pipeline
from finops_pipeline.orchestration.reporting import (
    EVERY_TEAM,
    DaysOfAsset,
    Reporter,
    every_team,
    read_for_nobody,
)
from finops_pipeline.orchestration.resuming import broken_off_runs

OPENAI_OP = "openai"

ENDPOINTS_OF: dict[dg.AssetKey, tuple[BucketEndpoint, ...]] = {
    COSTS_KEY: (COSTS_ENDPOINT,),
    USAGE_KEY: USAGE_ENDPOINTS,
}

_DESCRIPTIONS = {
    COSTS_KEY: """\
What OpenAI billed, as its Costs API answered: one UTC day is a partition, the team a column.

Rows are immutable. Reading a day again adds an entry to the ledger (`raw.collections`), and rows
only where the content has changed. Teams fail alone: a day is green once at least one team was
read for it, and the check `every_team_collected` names the others.
""",
    USAGE_KEY: """\
What was used, as the ten endpoints of OpenAI's Usage API answered: one UTC day is a partition, team
and endpoint are columns. Users are pseudonyms.

Rows are immutable, as those of the costs. Endpoints fail alone, and one that OpenAI does not offer
to an organization is on record as `unsupported`, which is no failure.
""",
}


class CollectConfig(dg.Config):
    """What a run may choose besides its days."""

    teams: list[str] = Field(default=[], description="Team ids; none: every active team.")


def build_raw_assets(pipeline: Pipeline) -> dg.AssetsDefinition:
    """The assets ``raw/costs`` and ``raw/usage`` with their checks; each can be read alone."""

    @dg.multi_asset(
        name=OPENAI_OP,
        specs=[
            dg.AssetSpec(
                key,
                description=description,
                group_name="raw",
                kinds={"openai", "dlt", "duckdb"},
                skippable=True,
            )
            for key, description in _DESCRIPTIONS.items()
        ],
        check_specs=[
            spec
            for key in ENDPOINTS_OF
            for spec in (
                dg.AssetCheckSpec(
                    EVERY_TEAM,
                    asset=key,
                    description="No team's reading failed on any day of the run.",
                ),
                dg.AssetCheckSpec(EVERY_DAY, asset=key, description=EVERY_DAY_DESCRIPTION),
            )
        ],
        partitions_def=daily_partitions(pipeline.settings.start_date),
        backfill_policy=dg.BackfillPolicy.single_run(),
        can_subset=True,
    )
    def openai(
        context: dg.AssetExecutionContext, config: CollectConfig
    ) -> Iterator[dg.AssetCheckResult]:
        enter_run(context.instance, context.run.run_id)
        days = sorted(date.fromisoformat(key) for key in context.partition_keys)
        wanted = {
            key: endpoints
            for key, endpoints in ENDPOINTS_OF.items()
            if key in context.selected_asset_keys
        }
        endpoints = [each for chosen in wanted.values() for each in chosen]
        try:
            with pipeline.open_registry(context.run.run_id) as registry:
                teams = registry.collectable_teams(config.teams or None)
                reports = _Reports(context, wanted, len(teams))
                collection = collect(
                    warehouse=pipeline.warehouse,
                    teams=teams,
                    registry=registry,
                    make_client=pipeline.make_client,
                    start=days[0],
                    end=days[-1],
                    run_id=context.run.run_id,
                    concurrency=pipeline.settings.max_concurrent_teams,
                    endpoints=endpoints,
                    resumed_runs=broken_off_runs(context.instance, context.run),
                    on_progress=Reporter(pipeline, context),
                    on_landed=reports.landed,
                )
                gaps = current_gaps(
                    pipeline, pipeline.warehouse, registry, [each.name for each in endpoints]
                )
        except FinopsError as error:
            raise dg.Failure(str(error), allow_retries=False) from error
        pipeline.on_collected(collection)
        for key, chosen in wanted.items():
            names = [endpoint.name for endpoint in chosen]
            yield every_team(collection, key, names)
            of_asset = [gap for gap in gaps if gap.endpoint in names]
            yield dg.AssetCheckResult(asset_key=key, check_name=EVERY_DAY, **verdict(of_asset))
        for key, empty_handed in reports.empty_handed.items():
            failed = collection.failed_at([endpoint.name for endpoint in wanted[key]])
            raise read_for_nobody(key, empty_handed, len(days), failed)

    return openai


class _Reports:
    """Tells each asset of what has landed for it."""

    def __init__(
        self,
        context: dg.AssetExecutionContext,
        wanted: dict[dg.AssetKey, tuple[BucketEndpoint, ...]],
        teams: int,
    ) -> None:
        self._days = {
            key: DaysOfAsset(context, key, teams * len(endpoints))
            for key, endpoints in wanted.items()
        }
        self._asset_of = {
            endpoint.name: key for key, endpoints in wanted.items() for endpoint in endpoints
        }

    @property
    def empty_handed(self) -> dict[dg.AssetKey, list[date]]:
        """Assets with days that were read for no team."""
        return {key: days.empty_handed for key, days in self._days.items() if days.empty_handed}

    def landed(self, buckets: Sequence[BucketOutcome]) -> None:
        for key, days in self._days.items():
            days.landed([bucket for bucket in buckets if self._asset_of[bucket.endpoint] == key])

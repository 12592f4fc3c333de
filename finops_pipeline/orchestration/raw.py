"""The raw data: costs and usage, two daily-partitioned assets that one step reads for all teams."""

from collections.abc import Iterator, Sequence, Set
from datetime import date

import dagster as dg
from pydantic import Field

from finops_pipeline.errors import FinopsError, UsageError
from finops_pipeline.ingestion.collect import collect
from finops_pipeline.ingestion.endpoints import (
    COSTS_ENDPOINT,
    ENDPOINT_NAMES,
    USAGE_ENDPOINTS,
    BucketEndpoint,
)
from finops_pipeline.ingestion.outcome import BucketOutcome
from finops_pipeline.orchestration.asset_keys import COSTS_KEY, OPENAI_OP, USAGE_KEY
from finops_pipeline.orchestration.completeness import (
    EVERY_DAY,
    EVERY_DAY_DESCRIPTION,
    current_gaps,
    gaps_of,
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


class BucketsConfig(CollectConfig):
    """Which buckets a run reads, besides its days."""

    endpoints: list[str] = Field(
        default=[],
        description="Endpoints, as costs or images; none: all of the selected assets. "
        "A selected asset that has none of them is left out.",
    )


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
        context: dg.AssetExecutionContext, config: BucketsConfig
    ) -> Iterator[dg.AssetCheckResult]:
        enter_run(context.instance, context.run.run_id)
        days = sorted(date.fromisoformat(key) for key in context.partition_keys)
        try:
            wanted = _wanted(context.selected_asset_keys, config.endpoints)
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
                    endpoints=[each for chosen in wanted.values() for each in chosen],
                    resumed_runs=broken_off_runs(context.instance, context.run),
                    on_progress=Reporter(pipeline, context),
                    on_landed=reports.landed,
                )
                gaps = current_gaps(
                    pipeline,
                    pipeline.warehouse,
                    registry,
                    context.instance,
                    [each.name for key in wanted for each in ENDPOINTS_OF[key]],
                )
        except FinopsError as error:
            raise dg.Failure(str(error), allow_retries=False) from error
        pipeline.on_collected(collection)
        for key, chosen in wanted.items():
            names = [endpoint.name for endpoint in chosen]
            yield every_team(collection, key, names)
            # Of all its endpoints, whichever this run was about.
            yield dg.AssetCheckResult(
                asset_key=key, check_name=EVERY_DAY, **verdict(gaps_of(gaps, ENDPOINTS_OF[key]))
            )
        for key, empty_handed in reports.empty_handed.items():
            failed = collection.failed_at([endpoint.name for endpoint in wanted[key]])
            raise read_for_nobody(key, empty_handed, len(days), failed)

    return openai


def _wanted(
    assets: Set[dg.AssetKey], names: Sequence[str]
) -> dict[dg.AssetKey, tuple[BucketEndpoint, ...]]:
    """The endpoints that a run reads, by asset; no names: all of the assets'.

    Raises:
        UsageError: a name is unknown, or of an asset that the run does not read.
    """
    found = {key: endpoints for key, endpoints in ENDPOINTS_OF.items() if key in assets}
    known = [each.name for endpoints in found.values() for each in endpoints]
    for name in names:
        if name not in ENDPOINT_NAMES:
            raise UsageError(
                f"There is no endpoint {name!r}.", f"The endpoints are {', '.join(ENDPOINT_NAMES)}."
            )
        if name not in known:
            raise UsageError(
                f"The endpoint {name} belongs to an asset that this run does not read.",
                f"Select that asset too, or choose among {', '.join(known)}.",
            )
    if not names:
        return found
    chosen = {
        key: tuple(each for each in endpoints if each.name in names)
        for key, endpoints in found.items()
    }
    return {key: endpoints for key, endpoints in chosen.items() if endpoints}


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

"""The raw costs: one daily-partitioned asset for all teams."""

from collections.abc import Iterator
from datetime import date

import dagster as dg
from pydantic import Field

from finops_pipeline.errors import FinopsError
from finops_pipeline.ingestion.collect import Progress, collect_costs
from finops_pipeline.ingestion.outcome import BucketOutcome, Collection, Status, add_up
from finops_pipeline.orchestration.instance import process_tags
from finops_pipeline.orchestration.partitions import daily_partitions
from finops_pipeline.orchestration.pipeline import Pipeline

COSTS_KEY = dg.AssetKey(["raw", "costs"])
COSTS_OP = "costs"
EVERY_TEAM = "every_team_collected"

_DESCRIPTION = """\
What OpenAI billed, as its Costs API answered: one UTC day is a partition, the team a column.

Rows are immutable. Reading a day again adds an entry to the ledger (`raw.collections`), and rows
only where the content has changed. Teams fail alone: a day is green once at least one team was
read for it, and the check `every_team_collected` names the others.
"""


class CollectConfig(dg.Config):
    """What a run may choose besides its days."""

    teams: list[str] = Field(default=[], description="Team ids; none: every active team.")


def build_costs_asset(pipeline: Pipeline) -> dg.AssetsDefinition:
    """The asset ``raw/costs`` with its check."""

    @dg.multi_asset(
        name=COSTS_OP,
        specs=[
            dg.AssetSpec(
                COSTS_KEY,
                description=_DESCRIPTION,
                group_name="raw",
                kinds={"openai", "dlt", "duckdb"},
                skippable=True,
            )
        ],
        check_specs=[
            dg.AssetCheckSpec(
                EVERY_TEAM,
                asset=COSTS_KEY,
                description="No team's reading failed on any day of the run.",
            )
        ],
        partitions_def=daily_partitions(pipeline.settings.start_date),
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def costs(
        context: dg.AssetExecutionContext, config: CollectConfig
    ) -> Iterator[dg.AssetCheckResult]:
        context.instance.add_run_tags(context.run.run_id, process_tags(context.instance))
        days = sorted(date.fromisoformat(key) for key in context.partition_keys)
        try:
            with pipeline.open_registry() as registry:
                collection = collect_costs(
                    warehouse=pipeline.warehouse,
                    teams=registry.collectable_teams(config.teams or None),
                    keys=registry,
                    make_client=pipeline.make_client,
                    start=days[0],
                    end=days[-1],
                    run_id=context.run.run_id,
                    concurrency=pipeline.settings.max_concurrent_teams,
                    on_progress=_Reporter(pipeline, context),
                )
        except FinopsError as error:
            raise dg.Failure(str(error), allow_retries=False) from error
        pipeline.on_collected(collection)
        by_day = collection.by_day()
        empty_handed = []
        for day in days:
            buckets = by_day[day]
            if all(bucket.status is Status.FAILED for bucket in buckets):
                empty_handed.append(day)
                continue
            context.log_event(
                dg.AssetMaterialization(
                    COSTS_KEY,
                    partition=day.isoformat(),
                    metadata=_day_metadata(buckets, collection),
                )
            )
        yield _check(collection)
        if empty_handed:
            raise dg.Failure(
                f"{len(empty_handed)} of {len(days)} days were read for no team, the first on "
                f"{empty_handed[0]}. {next(iter(collection.failed_teams.values()), '')}",
                metadata={"failed_teams": _failed_table(collection)},
                allow_retries=False,
            )

    return costs


class _Reporter:
    """Passes progress on, and into the event log at each load."""

    def __init__(self, pipeline: Pipeline, context: dg.AssetExecutionContext) -> None:
        self._pipeline = pipeline
        self._context = context
        self._loads = 0

    def __call__(self, progress: Progress) -> None:
        self._pipeline.on_collect(progress)
        if progress.loads != self._loads:
            self._loads = progress.loads
            self._context.log.info(
                "Load %d: %d of %d teams, %d of %d team-days, %d new rows.",
                progress.loads,
                progress.teams_done,
                progress.teams,
                progress.buckets_done,
                progress.buckets,
                progress.rows,
            )


def _day_metadata(
    buckets: list[BucketOutcome], collection: Collection
) -> dict[str, dg.MetadataValue]:
    read = [bucket for bucket in buckets if bucket.status is Status.OK]
    failed = sorted(bucket.team_id for bucket in buckets if bucket.status is Status.FAILED)
    totals = add_up(bucket.costs for bucket in read)
    return {
        "rows": dg.MetadataValue.int(sum(bucket.row_count for bucket in read)),
        "buckets_read": dg.MetadataValue.int(len(read)),
        "buckets_changed": dg.MetadataValue.int(sum(bucket.changed for bucket in read)),
        # Text, because a float would not hold the amount. Teams that share an organization each
        # see all of it, so this is what the keys saw, not what was spent.
        **{
            f"cost_seen_{currency.lower()}": dg.MetadataValue.text(f"{amount:f}")
            for currency, amount in sorted(totals.items())
        },
        "teams_failed": dg.MetadataValue.int(len(failed)),
        "failed_teams": dg.MetadataValue.text(", ".join(failed) or "none"),
        "api_calls_of_run": dg.MetadataValue.int(collection.calls),
        "seconds_of_run": dg.MetadataValue.float(
            round(max((team.seconds for team in collection.teams), default=0.0), 3)
        ),
    }


def _check(collection: Collection) -> dg.AssetCheckResult:
    failed = collection.failed_teams
    return dg.AssetCheckResult(
        asset_key=COSTS_KEY,
        check_name=EVERY_TEAM,
        passed=not failed,
        severity=dg.AssetCheckSeverity.ERROR,
        description=(
            f"{len(failed)} of {len(collection.teams)} teams failed: {', '.join(sorted(failed))}."
            if failed
            else f"All {len(collection.teams)} teams were read."
        ),
        metadata={"failed_teams": _failed_table(collection)} if failed else {},
    )


def _failed_table(collection: Collection) -> dg.TableMetadataValue:
    return dg.MetadataValue.table(
        [
            dg.TableRecord({"team_id": team, "reason": reason})
            for team, reason in sorted(collection.failed_teams.items())
        ],
        schema=dg.TableSchema(
            [dg.TableColumn("team_id", "string"), dg.TableColumn("reason", "string")]
        ),
    )

"""The raw costs: one daily-partitioned asset for all teams."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import date

import dagster as dg
from pydantic import Field

from finops_pipeline.errors import FinopsError
from finops_pipeline.ingestion.collect import collect_costs
from finops_pipeline.ingestion.outcome import (
    BucketOutcome,
    Collection,
    Progress,
    Status,
    add_up,
    in_words,
)
from finops_pipeline.orchestration.completeness import (
    EVERY_DAY,
    EVERY_DAY_DESCRIPTION,
    current_gaps,
    verdict,
)
from finops_pipeline.orchestration.instance import process_tags
from finops_pipeline.orchestration.partitions import daily_partitions
from finops_pipeline.orchestration.pipeline import Pipeline
from finops_pipeline.orchestration.resuming import broken_off_runs

COSTS_KEY = dg.AssetKey(["raw", "costs"])
COSTS_OP = "costs"
EVERY_TEAM = "every_team_collected"

_SECONDS_BETWEEN_WORDS = 10.0

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
    """The asset ``raw/costs`` with its checks."""

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
            ),
            dg.AssetCheckSpec(EVERY_DAY, asset=COSTS_KEY, description=EVERY_DAY_DESCRIPTION),
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
            with pipeline.open_registry(context.run.run_id) as registry:
                teams = registry.collectable_teams(config.teams or None)
                reported = _Days(context, len(teams))
                collection = collect_costs(
                    warehouse=pipeline.warehouse,
                    teams=teams,
                    keys=registry,
                    make_client=pipeline.make_client,
                    start=days[0],
                    end=days[-1],
                    run_id=context.run.run_id,
                    concurrency=pipeline.settings.max_concurrent_teams,
                    resumed_runs=broken_off_runs(context.instance, context.run),
                    on_progress=_Reporter(pipeline, context),
                    on_landed=reported.landed,
                )
                gaps = current_gaps(pipeline, pipeline.warehouse, registry)
        except FinopsError as error:
            raise dg.Failure(str(error), allow_retries=False) from error
        pipeline.on_collected(collection)
        yield _check(collection)
        yield dg.AssetCheckResult(asset_key=COSTS_KEY, check_name=EVERY_DAY, **verdict(gaps))
        if reported.empty_handed:
            raise dg.Failure(
                f"{len(reported.empty_handed)} of {len(days)} days were read for no team, the "
                f"first on {min(reported.empty_handed)}. "
                f"{next(iter(collection.failed_teams.values()), '')}",
                metadata={"failed_teams": _failed_table(collection)},
                allow_retries=False,
            )

    return costs


class _Days:
    """Reports each day to Dagster once every team's reading of it has landed.

    At once, so that a run that is cancelled or killed has told the truth about what it landed.

    Attributes:
        empty_handed: Days that were read for no team.
    """

    def __init__(self, context: dg.AssetExecutionContext, teams: int) -> None:
        self._context = context
        self._teams = teams
        self._buckets: dict[date, list[BucketOutcome]] = defaultdict(list)
        self.empty_handed: list[date] = []

    def landed(self, buckets: Sequence[BucketOutcome]) -> None:
        for bucket in buckets:
            self._buckets[bucket.day].append(bucket)
        whole = [day for day, found in self._buckets.items() if len(found) == self._teams]
        for day in sorted(whole):
            self._report(day, self._buckets.pop(day))

    def _report(self, day: date, buckets: list[BucketOutcome]) -> None:
        event: dg.AssetMaterialization | dg.AssetObservation
        partition, metadata = day.isoformat(), _day_metadata(buckets)
        if all(bucket.status is Status.FAILED for bucket in buckets):
            self.empty_handed.append(day)
            event = dg.AssetObservation(COSTS_KEY, partition=partition, metadata=metadata)
        else:
            event = dg.AssetMaterialization(COSTS_KEY, partition=partition, metadata=metadata)
        self._context.log_event(event)


class _Reporter:
    """Passes progress on, and now and then into the event log."""

    def __init__(self, pipeline: Pipeline, context: dg.AssetExecutionContext) -> None:
        self._pipeline = pipeline
        self._context = context
        self._next_word = _SECONDS_BETWEEN_WORDS
        self._ended = False

    def __call__(self, progress: Progress) -> None:
        self._pipeline.on_collect(progress)
        ends = progress.teams_done == progress.teams and not self._ended
        if ends or progress.seconds >= self._next_word:
            self._ended |= ends
            self._next_word = progress.seconds + _SECONDS_BETWEEN_WORDS
            self._context.log.info(in_words(progress))


def _day_metadata(buckets: list[BucketOutcome]) -> dict[str, dg.MetadataValue]:
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
        metadata={
            "buckets_read": len(collection.buckets),
            "buckets_read_before": len(collection.read_before),
            "rows_landed": collection.rows_landed,
            "api_calls": collection.calls,
            "seconds": round(max((team.seconds for team in collection.teams), default=0.0), 3),
        }
        | ({"failed_teams": _failed_table(collection)} if failed else {}),
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

"""What a collection says to Dagster: each day as it lands, the check of its teams, its progress."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

import dagster as dg

from finops_pipeline.ingestion.outcome import (
    BucketOutcome,
    Collection,
    Progress,
    Status,
    add_up,
    in_words,
)
from finops_pipeline.orchestration.pipeline import Pipeline

EVERY_TEAM = "every_team_collected"

_SECONDS_BETWEEN_WORDS = 10.0


@dataclass
class DaysOfAsset:
    """Reports each day of one asset once every team's reading of it has landed.

    At once, so that a run that is cancelled or killed has told the truth about what it landed.

    Attributes:
        buckets_a_day: Teams times the asset's endpoints.
        empty_handed: Days of which nothing could be read, for no team.
    """

    context: dg.AssetExecutionContext
    asset: dg.AssetKey
    buckets_a_day: int
    empty_handed: list[date] = field(default_factory=list)
    _buckets: dict[date, list[BucketOutcome]] = field(default_factory=lambda: defaultdict(list))

    def landed(self, buckets: Sequence[BucketOutcome]) -> None:
        """Take in what has landed of this asset."""
        for bucket in buckets:
            self._buckets[bucket.day].append(bucket)
        whole = [day for day, found in self._buckets.items() if len(found) == self.buckets_a_day]
        for day in sorted(whole):
            self._report(day, self._buckets.pop(day))

    def _report(self, day: date, buckets: list[BucketOutcome]) -> None:
        event: dg.AssetMaterialization | dg.AssetObservation
        partition, metadata = day.isoformat(), _day_metadata(buckets)
        if all(bucket.status is Status.FAILED for bucket in buckets):
            self.empty_handed.append(day)
            event = dg.AssetObservation(self.asset, partition=partition, metadata=metadata)
        else:
            event = dg.AssetMaterialization(self.asset, partition=partition, metadata=metadata)
        self.context.log_event(event)


class Reporter:
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
    of = {status: [bucket for bucket in buckets if bucket.status is status] for status in Status}
    read = of[Status.OK]
    failed = sorted({bucket.team_id for bucket in of[Status.FAILED]})
    totals = add_up(bucket.costs for bucket in read)
    return {
        "rows": dg.MetadataValue.int(sum(bucket.row_count for bucket in read)),
        "buckets_read": dg.MetadataValue.int(len(read)),
        "buckets_changed": dg.MetadataValue.int(sum(bucket.changed for bucket in read)),
        "buckets_unsupported": dg.MetadataValue.int(len(of[Status.UNSUPPORTED])),
        # Text, because a float would not hold the amount. Teams that share an organization each
        # see all of it, so this is what the keys saw, not what was spent.
        **{
            f"cost_seen_{currency.lower()}": dg.MetadataValue.text(f"{amount:f}")
            for currency, amount in sorted(totals.items())
        },
        "teams_failed": dg.MetadataValue.int(len(failed)),
        "failed_teams": dg.MetadataValue.text(", ".join(failed) or "none"),
    }


def every_team(
    collection: Collection, asset: dg.AssetKey, endpoints: Sequence[str]
) -> dg.AssetCheckResult:
    """The check ``every_team_collected`` of the asset that holds these endpoints."""
    failed = collection.failed_at(endpoints)
    read = [bucket for bucket in collection.buckets if bucket.endpoint in endpoints]
    before = [bucket for bucket in collection.read_before if bucket.endpoint in endpoints]
    return dg.AssetCheckResult(
        asset_key=asset,
        check_name=EVERY_TEAM,
        passed=not failed,
        severity=dg.AssetCheckSeverity.ERROR,
        description=(
            f"{len(failed)} of {len(collection.teams)} teams failed: {', '.join(sorted(failed))}."
            if failed
            else f"All {len(collection.teams)} teams were read."
        ),
        metadata={
            "buckets_read": len(read),
            "buckets_read_before": len(before),
            "rows_landed": collection.rows_landed,
            "api_calls": collection.calls,
            "seconds": round(max((team.seconds for team in collection.teams), default=0.0), 3),
        }
        | ({"failed_teams": _failed_table(failed)} if failed else {}),
    )


def read_for_nobody(
    asset: dg.AssetKey, empty_handed: Sequence[date], days: int, failed: Mapping[str, str]
) -> dg.Failure:
    """How a run ends that read days of an asset for no team.

    Args:
        empty_handed: Those days.
        days: How many days the run was of.
        failed: Why each team failed.
    """
    return dg.Failure(
        f"{len(empty_handed)} of {days} days of {asset.to_user_string()} were read for no team, "
        f"the first on {min(empty_handed)}. {next(iter(failed.values()), '')}",
        metadata={"failed_teams": _failed_table(failed)},
        allow_retries=False,
    )


def _failed_table(failed: Mapping[str, str]) -> dg.TableMetadataValue:
    """Teams and why they failed."""
    return dg.MetadataValue.table(
        [
            dg.TableRecord({"team_id": team, "reason": reason})
            for team, reason in sorted(failed.items())
        ],
        schema=dg.TableSchema(
            [dg.TableColumn("team_id", "string"), dg.TableColumn("reason", "string")]
        ),
    )

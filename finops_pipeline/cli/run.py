"""`finops run` and `finops build`: the two Dagster jobs in this process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from finops_pipeline.cli.days import chosen_days
from finops_pipeline.cli.opened import opened_registry
from finops_pipeline.cli.output import JsonOption, emit_one, warn
from finops_pipeline.errors import FinopsError, UsageError
from finops_pipeline.settings import Settings, load_settings

if TYPE_CHECKING:
    from dagster import AssetKey

    from finops_pipeline.cli.progress import RunProgress
    from finops_pipeline.ingestion.outcome import Collection
    from finops_pipeline.orchestration.run import DateRange, Runner

PARTIAL = 3
"""Exit code: some teams failed, the others are loaded."""


class RawAsset(StrEnum):
    """What of OpenAI's a run reads; each is an asset under ``raw/``."""

    COSTS = "costs"
    USAGE = "usage"
    LEGACY_USAGE = "legacy-usage"

    @property
    def key(self) -> AssetKey:
        from dagster import AssetKey

        return AssetKey(["raw", self.value.replace("-", "_")])


def run(
    start: Annotated[
        str | None, typer.Option("--from", metavar="DATE", help="First day (UTC), YYYY-MM-DD.")
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", metavar="DATE", help="Last day (UTC), inclusive.")
    ] = None,
    days: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Instead of dates: the last N days.")
    ] = None,
    last_month: Annotated[
        bool, typer.Option("--last-month", help="Instead of dates: the whole previous month.")
    ] = False,
    team: Annotated[
        list[str] | None, typer.Option("--team", help="Only this team; may be repeated.")
    ] = None,
    only: Annotated[
        RawAsset | None,
        typer.Option(
            "--only",
            help="Read only this: a year of costs is a few calls a team. Legacy usage, which "
            "project keys read at twelve seconds a day, is read in no other way.",
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on where the newest run that broke off ended."),
    ] = False,
    json: JsonOption = False,
) -> None:
    """Collect, build, check and publish.

    Without dates: the last closed days (FINOPS_RESTATEMENT_DAYS) and every unsettled day.
    """
    settings = load_settings()
    chosen = chosen_days(settings, start=start, end=end, days=days, last_month=last_month)
    legacy = only is RawAsset.LEGACY_USAGE
    if resume and (chosen or team or (only and not legacy)):
        raise UsageError(
            "--resume takes no days, no teams and no --only but legacy-usage.",
            "It goes on with those of the run.",
        )
    if legacy and not (chosen or resume):
        raise UsageError(
            "Legacy usage is read for days that are named, at twelve seconds each.",
            "Add --from and --to, or --days.",
        )
    teams = _checked_teams(settings, team or [])
    _ensure_folder(settings)

    from finops_pipeline.cli.progress import run_progress

    with run_progress() as progress:
        with progress.phase("Starting"):
            from finops_pipeline.orchestration.run import DateRange

            assets = [only.key] if only else []
            runner = _runner(settings, progress)
            resumption = runner.newest_broken_off(assets) if resume else None
            if resumption:
                wanted, team = [DateRange(resumption.start, resumption.end)], resumption.teams
                assets = assets or resumption.assets
            else:
                wanted = [DateRange(*chosen)] if chosen else _due(settings, teams, assets)
        collections = []
        for each in wanted:
            with _resumable(only), progress.phase(f"Collecting {each.start} to {each.end}"):
                collections.append(
                    runner.collect(
                        each,
                        team or [],
                        assets=assets,
                        endpoints=resumption.endpoints if resumption else (),
                        tags=resumption.tags if resumption else {},
                    )
                )
        with progress.phase("Building and publishing"):
            runner.build()
    _report(settings, collections, json=json)
    if legacy and not any(collection.teams for collection in collections):
        warn(
            "no team has an active project key, so there was nothing to read. Register one with "
            "`finops key register TEAM --type project --project PROJECT`."
        )


@contextmanager
def _resumable(only: RawAsset | None) -> Iterator[None]:
    """Say on an interrupt how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        chosen = f"--only {only.value} " if only is RawAsset.LEGACY_USAGE else ""
        warn(f"interrupted. What has landed stays; go on with `finops run {chosen}--resume`.")
        raise


def build(json: JsonOption = False) -> None:
    """Build and publish again without collecting: after a change of owners or settings."""
    settings = load_settings()
    _ensure_folder(settings)

    from finops_pipeline.cli.progress import run_progress

    with run_progress() as progress:
        with progress.phase("Starting"):
            runner = _runner(settings, progress)
        with progress.phase("Building and publishing"):
            runner.build()
    emit_one(
        {"published": str(settings.marts_path)},
        ("published",),
        json=json,
        sentence=f"Published {settings.marts_path}.",
    )


def _checked_teams(settings: Settings, wanted: Sequence[str]) -> list[str]:
    """The teams to collect, looked up before anything is written.

    Raises:
        UsageError: a team is unknown or deactivated, or none is registered.
        FinopsError: the data directory cannot be written.
    """
    if settings.data_dir.exists():
        _ensure_folder(settings)
    with opened_registry() as registry:
        return [team.team_id for team in registry.collectable_teams(wanted or None)]


def _ensure_folder(settings: Settings) -> None:
    from finops_pipeline.warehouse import Warehouse

    Warehouse.from_settings(settings).ensure_folder()


def _runner(settings: Settings, progress: RunProgress) -> Runner:
    from finops_pipeline.orchestration import Pipeline
    from finops_pipeline.orchestration.instance import open_instance
    from finops_pipeline.orchestration.run import Runner

    pipeline = replace(
        Pipeline.from_settings(settings),
        on_collect=progress.collecting,
        on_node=progress.node_finished,
    )
    return Runner(pipeline, open_instance(settings))


def _due(settings: Settings, teams: list[str], assets: Sequence[AssetKey]) -> list[DateRange]:
    from finops_pipeline.ingestion.due import due_days
    from finops_pipeline.orchestration.partitions import yesterday
    from finops_pipeline.orchestration.raw import ENDPOINTS_OF
    from finops_pipeline.orchestration.run import DateRange
    from finops_pipeline.warehouse import Warehouse

    return [
        DateRange(*days)
        for days in due_days(
            Warehouse.from_settings(settings),
            endpoints=[
                endpoint.name
                for asset in assets or ENDPOINTS_OF
                for endpoint in ENDPOINTS_OF[asset]
            ],
            teams=teams,
            first_day=settings.start_date,
            yesterday=yesterday(),
            restatement_days=settings.restatement_days,
            settle_days=settings.settle_days,
        )
    ]


def _report(settings: Settings, collections: list[Collection], *, json: bool) -> None:
    """Print what was done.

    Raises:
        typer.Exit: with 3 where some teams failed.
        FinopsError: no bucket at all was read.
    """
    buckets = [bucket for collection in collections for bucket in collection.buckets]
    failed = {
        team: reason
        for collection in collections
        for team, reason in collection.failed_teams.items()
    }
    read = [bucket for bucket in buckets if bucket.status == "ok"]
    unsupported = [bucket for bucket in buckets if bucket.status == "unsupported"]
    result = {
        "run_ids": [collection.run_id for collection in collections],
        "buckets_read": len(read),
        "buckets_failed": len(buckets) - len(read) - len(unsupported),
        "buckets_unsupported": len(unsupported),
        "buckets_read_before": sum(len(collection.read_before) for collection in collections),
        "buckets_changed": sum(bucket.changed for bucket in read),
        "rows_landed": sum(collection.rows_landed for collection in collections),
        "api_calls": sum(collection.calls for collection in collections),
        "failed_teams": failed,
        "published": str(settings.marts_path),
    }
    sentence = (
        f"Read {len(read)} of {len(buckets)} buckets (a team's day at an endpoint) in "
        f"{result['api_calls']} API calls"
    )
    if unsupported:
        sentence += f"; {len(unsupported)} are of endpoints that OpenAI does not offer there"
    if result["buckets_read_before"]:
        sentence += f"; {result['buckets_read_before']} had been read before"
    if read or result["buckets_read_before"]:
        sentence += (
            f"; {result['buckets_changed']} were new or changed ({result['rows_landed']} rows "
            f"landed).\nPublished {settings.marts_path}"
        )
    emit_one(result, tuple(result), json=json, sentence=f"{sentence}.")
    for team, reason in sorted(failed.items()):
        warn(f"team {team} failed: {reason}")
    if buckets and not (read or result["buckets_read_before"]):
        raise FinopsError(
            "No team could be read.", "Mend what is named above, then run the same again."
        )
    if failed:
        raise typer.Exit(PARTIAL)

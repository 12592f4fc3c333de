"""`finops run` and `finops build`: the two Dagster jobs in this process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from finops_pipeline.cli.opened import opened_registry
from finops_pipeline.cli.output import JsonOption, emit_one, warn
from finops_pipeline.errors import FinopsError, UsageError
from finops_pipeline.settings import Settings, load_settings

if TYPE_CHECKING:
    from finops_pipeline.cli.progress import RunProgress
    from finops_pipeline.ingestion.outcome import Collection
    from finops_pipeline.orchestration.run import DateRange, Runner

PARTIAL = 3
"""Exit code: some teams failed, the others are loaded."""


def run(
    start: Annotated[
        str | None, typer.Option("--from", metavar="DATE", help="First day (UTC), YYYY-MM-DD.")
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", metavar="DATE", help="Last day (UTC), inclusive.")
    ] = None,
    team: Annotated[
        list[str] | None, typer.Option("--team", help="Only this team; may be repeated.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Collect, build, check and publish.

    Without dates: the last closed days (FINOPS_RESTATEMENT_DAYS) and every unsettled day.
    """
    settings = load_settings()
    window = _window(settings, start, end)
    teams = _checked_teams(settings, team or [])
    _ensure_folder(settings)

    from finops_pipeline.cli.progress import run_progress
    from finops_pipeline.orchestration.run import DateRange

    with run_progress() as progress:
        with progress.phase("Starting"):
            runner = _runner(settings, progress)
            ranges = [DateRange(*window)] if window else _due(settings, teams)
        collections = []
        for days in ranges:
            with progress.phase(f"Collecting {days.start} to {days.end}"):
                collections.append(runner.collect(days, team or []))
        with progress.phase("Building and publishing"):
            runner.build()
    _report(settings, collections, json=json)


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


def parse_day(text: str, option: str) -> date:
    """A day from the command line.

    Raises:
        UsageError: it is no date; names the option.
    """
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"{option} {text!r} is not a date.", "Write it as YYYY-MM-DD, for example 2026-03-31."
        ) from None


def _window(
    settings: Settings, start_text: str | None, end_text: str | None
) -> tuple[date, date] | None:
    yesterday = (datetime.now(UTC) - timedelta(days=1)).date()
    if settings.start_date > yesterday:
        raise UsageError(
            f"The first day, {settings.start_date}, is not over yet (UTC).",
            "Set FINOPS_START_DATE to an earlier day.",
        )
    if start_text is None and end_text is None:
        return None
    end = parse_day(end_text, "--to") if end_text is not None else yesterday
    start = parse_day(start_text, "--from") if start_text is not None else end
    first_option = "--from" if start_text is not None else "--to"
    for option, day in ((first_option, start), ("--to", end)):
        if day > yesterday:
            raise UsageError(
                f"{option} {day} is not over yet (UTC).",
                f"The newest day to collect is {yesterday}.",
            )
    if start > end:
        raise UsageError(f"--from {start} lies after --to {end}.", "Exchange the two dates.")
    if start < settings.start_date:
        raise UsageError(
            f"{first_option} {start} lies before the first day, {settings.start_date}.",
            "Choose a later day, or set FINOPS_START_DATE to an earlier one.",
        )
    return start, end


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


def _due(settings: Settings, teams: list[str]) -> list[DateRange]:
    from finops_pipeline.ingestion.due import due_days
    from finops_pipeline.ingestion.reading import ENDPOINT
    from finops_pipeline.orchestration.partitions import yesterday
    from finops_pipeline.orchestration.run import DateRange
    from finops_pipeline.warehouse import Warehouse

    return [
        DateRange(*days)
        for days in due_days(
            Warehouse.from_settings(settings),
            endpoint=ENDPOINT,
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
    result = {
        "run_ids": [collection.run_id for collection in collections],
        "buckets_read": len(read),
        "buckets_failed": len(buckets) - len(read),
        "buckets_changed": sum(bucket.changed for bucket in read),
        "rows_landed": sum(collection.rows_landed for collection in collections),
        "api_calls": sum(collection.calls for collection in collections),
        "failed_teams": failed,
        "published": str(settings.marts_path),
    }
    sentence = f"Read {len(read)} of {len(buckets)} team-days in {result['api_calls']} API calls"
    if read:
        sentence += (
            f"; {result['buckets_changed']} were new or changed ({result['rows_landed']} rows "
            f"landed).\nPublished {settings.marts_path}"
        )
    emit_one(result, tuple(result), json=json, sentence=f"{sentence}.")
    for team, reason in sorted(failed.items()):
        warn(f"team {team} failed: {reason}")
    if not read:
        raise FinopsError(
            "No team could be read.", "Mend what is named above, then run the same again."
        )
    if failed:
        raise typer.Exit(PARTIAL)

"""What is read when: every day what is due, and now and then what may have changed since."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

import dagster as dg

from finops_pipeline.errors import FinopsError
from finops_pipeline.ingestion.days import joined, last_days, previous_month
from finops_pipeline.ingestion.due import due_days
from finops_pipeline.ingestion.endpoints import ENDPOINT_NAMES
from finops_pipeline.orchestration.asset_keys import COSTS_KEY
from finops_pipeline.orchestration.jobs import COLLECT, HOUSEKEEPING
from finops_pipeline.orchestration.pipeline import Pipeline
from finops_pipeline.orchestration.resuming import range_tags

LONGEST_PAGE_DAYS = 180
"""As far back as one call of costs a team reaches: OpenAI's largest page. Usage takes six an
endpoint."""

_RUNS_AT_ONCE = 4
"""Each is a process. A few days more that are read again cost no call."""

_PATIENCE_SECONDS = 30.0
"""Dagster gives a schedule's evaluation a minute."""


def build_schedules(
    pipeline: Pipeline, status: dg.DefaultScheduleStatus
) -> list[dg.ScheduleDefinition]:
    """The schedules; times are UTC, and today is never read."""

    @dg.schedule(
        name="daily",
        job_name=COLLECT,
        cron_schedule="30 6 * * *",
        execution_timezone="UTC",
        default_status=status,
        description="Reads what `finops run` reads: the restatement window, every unsettled day.",
    )
    def daily(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        yield from _requests(pipeline, _due(pipeline, context))

    @dg.schedule(
        name="monthly",
        job_name=COLLECT,
        cron_schedule="30 7 5 * *",
        execution_timezone="UTC",
        default_status=status,
        description="Reads the whole previous month again, once its invoice is written.",
    )
    def monthly() -> Iterator[dg.RunRequest | dg.SkipReason]:
        yield from _requests(pipeline, [previous_month(_yesterday(pipeline))])

    @dg.schedule(
        name="weekly",
        job_name=COLLECT,
        cron_schedule="30 8 * * 0",
        execution_timezone="UTC",
        default_status=status,
        description=(
            f"Reads costs of the last {LONGEST_PAGE_DAYS} days again: OpenAI does not say how long "
            "it goes on changing a day."
        ),
    )
    def weekly() -> Iterator[dg.RunRequest | dg.SkipReason]:
        longest_page = last_days(_yesterday(pipeline), LONGEST_PAGE_DAYS)
        yield from _requests(pipeline, [longest_page], assets=[COSTS_KEY])

    housekeeping = dg.ScheduleDefinition(
        name="housekeeping",
        job_name=HOUSEKEEPING,
        cron_schedule="30 9 * * 0",
        execution_timezone="UTC",
        default_status=status,
        description="Deletes what nobody needs any more.",
    )
    return [daily, weekly, monthly, housekeeping]


def _yesterday(pipeline: Pipeline) -> date:
    return pipeline.now().date() - timedelta(days=1)


def _due(pipeline: Pipeline, context: dg.ScheduleEvaluationContext) -> list[tuple[date, date]]:
    settings, yesterday = pipeline.settings, _yesterday(pipeline)
    with pipeline.open_registry() as registry:
        teams = [team.team_id for team in registry.collectable_teams(None)]
    try:
        due = due_days(
            pipeline.warehouse.with_patience(_PATIENCE_SECONDS),
            endpoints=ENDPOINT_NAMES,
            teams=teams,
            first_day=settings.start_date,
            yesterday=yesterday,
            restatement_days=settings.restatement_days,
            settle_days=settings.settle_days,
        )
    except FinopsError as error:
        # The window needs no ledger. Older days that are due stay so until tomorrow.
        context.log.warning("Only the restatement window is read: %s", error)
        return [last_days(yesterday, settings.restatement_days)]
    return joined(due, _RUNS_AT_ONCE)


def _requests(
    pipeline: Pipeline,
    wanted: list[tuple[date, date]],
    *,
    assets: list[dg.AssetKey] | None = None,
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    first_day = pipeline.settings.start_date
    found = [(max(start, first_day), end) for start, end in wanted if end >= first_day]
    if not found:
        yield dg.SkipReason(f"All of it lies before the first day, {first_day}.")
    for start, end in found:
        # Evaluations that were missed are made up for in a row: the key makes them one run.
        yield dg.RunRequest(
            run_key=f"{_yesterday(pipeline)}: {start} to {end}",
            tags=range_tags(start, end),
            asset_selection=assets,
        )

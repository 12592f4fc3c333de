"""The days that a command line asks for."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Annotated

import typer

from finops_pipeline.errors import UsageError
from finops_pipeline.ingestion.days import last_days, previous_month
from finops_pipeline.registry.rules import shown
from finops_pipeline.settings import Settings

EffectiveOption = Annotated[
    str | None,
    typer.Option(
        "--effective",
        metavar="YYYY-MM-DD",
        help="First day (UTC) of the change; without it, today. The days before stay as they are.",
    ),
]


def parse_day(text: str, option: str) -> date:
    """A day from the command line, as YYYY-MM-DD.

    Raises:
        UsageError: it is no date; names the option.
    """
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = None
    # Python also reads other forms (20260131, 2026-W05-6), which hide typing errors.
    if day is None or day.isoformat() != text:
        raise UsageError(
            f"{option} {shown(text)} is not a date.",
            "Write it as YYYY-MM-DD, for example 2026-03-31.",
        )
    return day


def optional_day(text: str | None, option: str) -> date | None:
    """As :func:`parse_day`; none where nothing is given."""
    return None if text is None else parse_day(text, option)


def chosen_days(
    settings: Settings,
    *,
    start: str | None,
    end: str | None,
    days: int | None,
    last_month: bool,
) -> tuple[date, date] | None:
    """First and last day (UTC) as the options name them; none where they name nothing.

    Raises:
        UsageError: they contradict each other, are no dates, are not over, or lie before the first
            partition.
    """
    yesterday = (datetime.now(UTC) - timedelta(days=1)).date()
    if settings.start_date > yesterday:
        raise UsageError(
            f"The first day, {settings.start_date}, is not over yet (UTC).",
            "Set FINOPS_START_DATE to an earlier day.",
        )
    if (start is not None or end is not None) + (days is not None) + last_month > 1:
        raise UsageError(
            "--from/--to, --days and --last-month exclude each other.", "Give one of them."
        )
    if days is not None:
        return _clipped(last_days(yesterday, days), settings.start_date)
    if last_month:
        return _clipped(previous_month(yesterday), settings.start_date)
    if start is None and end is None:
        return None
    return _checked(start, end, settings.start_date, yesterday)


def _clipped(found: tuple[date, date], first_day: date) -> tuple[date, date]:
    start, end = found
    if end < first_day:
        raise UsageError(
            f"All of {start} to {end} lies before the first day, {first_day}.",
            "Set FINOPS_START_DATE to an earlier day.",
        )
    return max(start, first_day), end


def _checked(
    start_text: str | None, end_text: str | None, first_day: date, yesterday: date
) -> tuple[date, date]:
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
    if start < first_day:
        raise UsageError(
            f"{first_option} {start} lies before the first day, {first_day}.",
            "Choose a later day, or set FINOPS_START_DATE to an earlier one.",
        )
    return start, end

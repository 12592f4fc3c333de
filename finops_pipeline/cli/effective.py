"""The day (UTC) from which a change of the registry holds."""

from __future__ import annotations

from datetime import date
from typing import Annotated

import typer

from finops_pipeline.errors import UsageError

EffectiveOption = Annotated[
    str | None,
    typer.Option(
        "--effective",
        metavar="YYYY-MM-DD",
        help="First day (UTC) of the change; without it, today. The days before stay as they are.",
    ),
]


def parse_day(text: str, option: str) -> date:
    """A day as YYYY-MM-DD.

    Raises:
        UsageError: it is none; names the option.
    """
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = None
    # Python also reads other forms (20260131, 2026-W05-6), which hide typing errors.
    if day is None or day.isoformat() != text:
        raise UsageError(f"{option} is no date.", "Write it as YYYY-MM-DD.")
    return day


def optional_day(text: str | None, option: str) -> date | None:
    """As :func:`parse_day`; none where nothing is given."""
    return None if text is None else parse_day(text, option)

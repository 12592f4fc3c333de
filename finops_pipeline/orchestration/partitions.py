"""Days: the partitions of raw data. OpenAI's buckets are UTC days, so these are too."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import dagster as dg


def daily_partitions(start: date) -> dg.DailyPartitionsDefinition:
    """UTC days from ``start`` to yesterday; today is not over and never a partition."""
    return dg.DailyPartitionsDefinition(start_date=start.isoformat(), timezone="UTC")


def daily_partitions_with_today(start: date) -> dg.DailyPartitionsDefinition:
    """UTC days from ``start`` to today, for what comes in while a day lasts."""
    return dg.DailyPartitionsDefinition(start_date=start.isoformat(), timezone="UTC", end_offset=1)


def yesterday() -> date:
    """The newest day that is over (UTC)."""
    return (datetime.now(UTC) - timedelta(days=1)).date()

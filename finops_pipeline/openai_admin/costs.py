"""Reading the Costs API: where its windows split, and how far it may be asked."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import pyarrow as pa
from msgspec import Raw

from finops_pipeline.openai_admin.arrow import costs_batch
from finops_pipeline.openai_admin.paging import BucketPage, BucketReader, DayBucket, Source
from finops_pipeline.openai_admin.transport import Transport
from finops_pipeline.openai_admin.wire import decode_results

FIRST_DAY_WITH_KEYS = date(2025, 12, 6)
"""Grouping by api_key_id answers 400 for windows that start earlier (1764979200)."""

MAX_BUCKETS = 180
"""Most buckets (days) that OpenAI takes as ``limit``."""

CostsBucket = DayBucket
"""A day's costs; its rows have :data:`COSTS_SCHEMA`."""

CostsPage = BucketPage
"""A page of costs."""


def windows(start: date, end: date) -> Iterator[tuple[date, date, tuple[str, ...]]]:
    """Split ``start`` to ``end`` (exclusive) where grouping by key begins: start, end, group_by."""
    if start < FIRST_DAY_WITH_KEYS:
        yield start, min(end, FIRST_DAY_WITH_KEYS), ("project_id", "line_item")
    if end > FIRST_DAY_WITH_KEYS:
        group_by = ("project_id", "line_item", "api_key_id")
        yield max(start, FIRST_DAY_WITH_KEYS), end, group_by


def read_costs(
    transport: Transport,
    start: date,
    end: date,
    *,
    rows_per_bucket: int | None,
    project_ids: tuple[str, ...] = (),
) -> Iterator[CostsPage]:
    """One pass over the costs of a range; see :meth:`AdminClient.costs`."""
    reader = BucketReader(
        transport, _COSTS, rows_per_bucket=rows_per_bucket, project_ids=project_ids
    )
    for first, last, group_by in windows(start, end):
        yield from reader.read(first, last, group_by)


def _decode(results: Raw, day: date) -> tuple[pa.RecordBatch, tuple[str, ...]]:
    rows, unknown = decode_results(results, day)
    return costs_batch(rows, day), unknown


_COSTS = Source("/organization/costs", "costs", MAX_BUCKETS, _decode)

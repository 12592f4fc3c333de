"""When two readings of a bucket say the same: the canonical content hash."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from finops_pipeline.openai_admin import LEGACY_USAGE_SCHEMA, USAGE_SCHEMA

COSTS_CONTENT = (
    "project_id",
    "line_item",
    "api_key_id",
    "currency",
    "amount",
    "quantity",
    "quantity_unit",
)
"""What a bucket says about money. Names and the organization's id are no part of it: they come
and go on the wire without any cost having changed."""

USAGE_CONTENT = tuple(name for name in USAGE_SCHEMA.names if name != "organization_id")
"""What a bucket says about usage: who used what, and every measure of it."""

LEGACY_CONTENT = ("key_project_id", *LEGACY_USAGE_SCHEMA.names)
"""What a bucket of the legacy endpoint says: the same by key, list and slot."""


def content_hash(
    rows: pa.RecordBatch, columns: Sequence[str] = COSTS_CONTENT, *, sparse: bool = False
) -> str:
    """A hash of the bucket's content that ignores row order and how amounts are written.

    Amounts enter as integers of 1e-18 and quantities as integers of 1e-6, because the columns
    are decimals of those scales: ``0.10`` and ``0.1`` are one content.

    Args:
        rows: A batch with at least ``columns``.
        columns: What counts.
        sparse: Leave out columns without any value and name the others: of a wide table most are
            empty.

    Returns:
        32 hexadecimal digits; the same for every empty bucket.
    """
    digest = hashlib.blake2b(rows.num_rows.to_bytes(8, "little"), digest_size=16)
    if rows.num_rows:
        if sparse:
            columns = [name for name in columns if rows.column(name).null_count < rows.num_rows]
            digest.update(",".join(columns).encode())
        order = pc.sort_indices(rows, [(name, "ascending") for name in columns])
        for column in rows.select(columns).take(order).columns:
            _update(digest, column)
    return digest.hexdigest()


def _update(digest: hashlib.blake2b, column: Any) -> None:
    """Add which rows are null and the values, free of what lies around and under nulls.

    Straight from Arrow's buffers: a call per column and part, not one per value, because most
    buckets are small and there are many.
    """
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.uint8())
    count = len(column)
    digest.update(column.null_count.to_bytes(8, "little"))
    if column.null_count:
        digest.update(_fixed(column.is_valid().cast(pa.uint8()), 1))
        column = column.fill_null("" if pa.types.is_string(column.type) else 0)
    if pa.types.is_string(column.type):
        digest.update(_fixed(pc.binary_length(column), 4))
        _, offsets, values = column.buffers()
        places = memoryview(offsets).cast("i")
        first, last = places[column.offset], places[column.offset + count]
        if last > first:
            digest.update(memoryview(values)[first:last])
    else:
        digest.update(_fixed(column, column.type.byte_width))


def _fixed(column: Any, width: int) -> memoryview:
    """The values of a column whose values are all ``width`` bytes long; none of them null."""
    start = column.offset * width
    return memoryview(column.buffers()[1])[start : start + len(column) * width]

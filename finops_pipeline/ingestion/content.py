"""When two readings of a bucket say the same: the canonical content hash."""

from __future__ import annotations

import hashlib
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

_COLUMNS = (
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


def content_hash(rows: pa.RecordBatch) -> str:
    """A hash of the bucket's content that ignores row order and how amounts are written.

    Amounts enter as integers of 1e-18 and quantities as integers of 1e-6, because the columns
    are decimals of those scales: ``0.10`` and ``0.1`` are one content.

    Args:
        rows: Any batch with the columns of ``COSTS_SCHEMA``.

    Returns:
        32 hexadecimal digits; the same for every empty bucket.
    """
    digest = hashlib.blake2b(rows.num_rows.to_bytes(8, "little"), digest_size=16)
    if rows.num_rows:
        order = pc.sort_indices(rows, [(name, "ascending") for name in _COLUMNS])
        for column in rows.select(_COLUMNS).take(order).columns:
            _update(digest, column)
    return digest.hexdigest()


def _update(digest: hashlib.blake2b, column: Any) -> None:
    """Add which rows are null and the values, free of what lies around and under nulls.

    Straight from Arrow's buffers: a call per column and part, not one per value, because most
    buckets are small and there are many.
    """
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

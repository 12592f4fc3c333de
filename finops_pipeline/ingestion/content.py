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
    ordered = rows.select(_COLUMNS)
    if rows.num_rows > 1:
        order = pc.sort_indices(ordered, [(name, "ascending") for name in _COLUMNS])
        ordered = ordered.take(order)
    digest = hashlib.blake2b(digest_size=16)
    for column in ordered.columns:
        digest.update(column.is_valid().cast(pa.uint8()).to_numpy(zero_copy_only=False).tobytes())
        digest.update(_values(column))
    return digest.hexdigest()


def _values(column: Any) -> bytes:
    """The values alone, free of offsets into a larger buffer and of what lies under nulls."""
    if pa.types.is_string(column.type):
        filled = column.fill_null("")
        lengths: bytes = pc.binary_length(filled).to_numpy(zero_copy_only=False).tobytes()
        return lengths + "".join(filled.to_pylist()).encode()
    filled = column.fill_null(0)
    width = column.type.byte_width
    start = filled.offset * width
    return bytes(memoryview(filled.buffers()[1])[start : start + len(filled) * width])

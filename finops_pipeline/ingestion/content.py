"""When two readings of a bucket say the same: the canonical content hash."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
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


def content_hashes(
    rows: pa.RecordBatch,
    counts: Sequence[int],
    columns: Sequence[str] = COSTS_CONTENT,
    *,
    sparse: bool = False,
) -> list[str]:
    """A hash of each bucket's content that ignores row order and how amounts are written.

    Amounts enter as integers of 1e-18 and quantities as integers of 1e-6, because the columns
    are decimals of those scales: ``0.10`` and ``0.1`` are one content.

    Args:
        rows: The buckets' rows after one another, with at least ``columns``. Many at once,
            because a bucket is small and a call of Arrow costs as much as hashing one.
        counts: How many of them are each bucket's.
        columns: What counts.
        sparse: Leave out columns without any value in the bucket and name the others: of a wide
            table most are empty.

    Returns:
        32 hexadecimal digits for each bucket; the same for every empty one.
    """
    content = rows.select(columns)
    order = pc.sort_indices(
        content.append_column("", bucket_numbers(counts)),
        [("", "ascending"), *((name, "ascending") for name in columns)],
    )
    ordered = content.take(order)
    parts = [_Values.of(name, column) for name, column in zip(columns, ordered, strict=True)]
    hashes = []
    last = 0
    for count in counts:
        first, last = last, last + count
        digest = hashlib.blake2b(count.to_bytes(8, "little"), digest_size=16)
        if count:
            told = parts
            if sparse:
                told = [part for part in parts if part.nulls(first, last) < count]
                digest.update(",".join(part.name for part in told).encode())
            for part in told:
                part.update(digest, first, last)
        hashes.append(digest.hexdigest())
    return hashes


def bucket_numbers(counts: Sequence[int]) -> pa.Int32Array:
    """For each row, which bucket it is of (from 0), where ``counts`` says how many each has."""
    return pa.array(
        [number for number, count in enumerate(counts) for _ in range(count)], pa.int32()
    )


@dataclass(frozen=True)
class _Values:
    """The values of a column as Arrow holds them, free of what lies under nulls.

    Attributes:
        present: A byte for each row, 0 where it is null; None where none is.
        values: All values one after the other.
        width: Bytes of each; of texts, those of its length.
        lengths: Of texts: how long each is, ``width`` bytes a row.
        places: Of texts: where each begins in ``values``, and where the last one ends.
    """

    name: str
    present: memoryview | None
    values: memoryview
    width: int
    lengths: memoryview | None = None
    places: memoryview | None = None

    @classmethod
    def of(cls, name: str, column: Any) -> _Values:
        if pa.types.is_boolean(column.type):
            column = column.cast(pa.uint8())
        present = None
        if column.null_count:
            present = _fixed(column.is_valid().cast(pa.uint8()), 1)
            column = column.fill_null("" if pa.types.is_string(column.type) else 0)
        if not pa.types.is_string(column.type):
            width = column.type.byte_width
            return cls(name, present, _fixed(column, width), width)
        _, offsets, values = column.buffers()
        places = memoryview(offsets).cast("i")[column.offset :]
        text = memoryview(b"" if values is None else values)
        return cls(name, present, text, 4, _fixed(pc.binary_length(column), 4), places)

    def nulls(self, first: int, last: int) -> int:
        """How many of the rows from ``first`` to ``last`` (exclusive) are null."""
        return 0 if self.present is None else self.present[first:last].tobytes().count(0)

    def update(self, digest: hashlib.blake2b, first: int, last: int) -> None:
        """Add which of these rows are null, and their values."""
        nulls = self.nulls(first, last)
        digest.update(nulls.to_bytes(8, "little"))
        if nulls and self.present is not None:
            digest.update(self.present[first:last])
        if self.lengths is None or self.places is None:
            digest.update(self.values[first * self.width : last * self.width])
            return
        digest.update(self.lengths[first * self.width : last * self.width])
        digest.update(self.values[self.places[first] : self.places[last]])


def _fixed(column: Any, width: int) -> memoryview:
    """The values of a column whose values are all ``width`` bytes long; none of them null."""
    start = column.offset * width
    return memoryview(column.buffers()[1])[start : start + len(column) * width]

"""From a stream of bytes to numbered lines, however large the file or a line of it is."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from finops_pipeline.errors import FinopsError
from finops_pipeline.request_logs.line import EARLIEST, FIELDS, LATEST, unknown_field

LONGEST_LINE = 65_536
"""Bytes; the longest line that the schema allows has about five thousand."""

_BLOCK_BYTES = 4 * 2**20
_ROWS_AT_ONCE = 10_000


class UnreadableFileError(FinopsError):
    """A file, or the rest of it, cannot be read; what came before is good."""


@dataclass(frozen=True)
class Lines:
    """Consecutive lines without their newlines.

    Attributes:
        first: Number of the first one; a file begins with line 1.
        cut_off: The file ends without a newline after the last one.
    """

    first: int
    lines: list[bytes]
    cut_off: bool = False


@dataclass(frozen=True)
class LongLine:
    """A line of more than ``LONGEST_LINE`` bytes, of which nothing is kept but its SHA-256."""

    number: int
    line_hash: str


def line_hash(line: bytes) -> str:
    """By which whoever has the file finds the line again: SHA-256 without its newline."""
    return hashlib.sha256(line).hexdigest()


def json_lines(stream: IO[bytes], *, compressed: bool) -> Iterator[Lines | LongLine]:
    """The lines of JSON Lines, as they are or compressed by gzip.

    Raises:
        UnreadableFileError: reading broke off: the file is damaged or its end is missing.
    """
    try:
        yield from _split(gzip.GzipFile(fileobj=stream) if compressed else stream)
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise UnreadableFileError(
            "It is no whole gzip file: damaged, or still being written.",
            "Write it under another name and rename it once it is whole.",
        ) from None
    except OSError as error:
        raise UnreadableFileError(f"Reading it failed: {error.strerror}.") from None


def _split(stream: Any) -> Iterator[Lines | LongLine]:
    number, rest, block = 1, b"", b"\n"
    while block:
        block = stream.read(_BLOCK_BYTES)
        # At the end as well: what follows a long line may be many lines.
        lines = (rest + block).split(b"\n")
        rest = lines.pop()
        if lines:
            yield from _without_long(number, lines)
            number += len(lines)
        if len(rest) > LONGEST_LINE:
            digest = hashlib.sha256(rest)
            rest = end = b""
            while block and not end:
                block = stream.read(_BLOCK_BYTES)
                part, end, rest = block.partition(b"\n")
                digest.update(part)
            yield LongLine(number, digest.hexdigest())
            number += 1
    if rest:
        yield Lines(number, [rest], cut_off=True)


def _without_long(first: int, lines: list[bytes]) -> Iterator[Lines | LongLine]:
    begin = 0
    if max(map(len, lines)) > LONGEST_LINE:
        for place, line in enumerate(lines):
            if len(line) > LONGEST_LINE:
                yield Lines(first + begin, lines[begin:place])
                yield LongLine(first + place, line_hash(line))
                begin = place + 1
    yield Lines(first + begin, lines[begin:])


def parquet_rows(stream: IO[bytes]) -> Iterator[Lines]:
    """The rows of a Parquet file, each as a line of JSON: one validation serves both forms.

    Raises:
        UnreadableFileError: it is no Parquet file, is damaged, or has a column that is not in the
            schema: every row would be refused, so none is read.
    """
    try:
        file = pq.ParquetFile(stream)
        names = file.schema_arrow.names
        unknown = [unknown_field(name) for name in names if name not in FIELDS]
        if unknown:
            raise UnreadableFileError(
                f"Nothing of it was read, because {'; '.join(unknown[:10])}.",
                "Write the columns of the schema alone.",
            )
        number = 1
        for batch in file.iter_batches(_ROWS_AT_ONCE):
            yield Lines(number, _as_json(batch))
            number += batch.num_rows
    except (pa.ArrowException, ArithmeticError, LookupError, OSError):
        # Arrow's own words may repeat what it found. Dates beyond Python's and zones that nobody
        # knows raise none of its errors.
        raise UnreadableFileError(
            "It is no whole Parquet file: damaged, or still being written.",
            "Write it under another name and rename it once it is whole.",
        ) from None


def _as_json(batch: pa.RecordBatch) -> list[bytes]:
    columns = [_as_usual(column) for column in batch.columns]
    return [
        msgspec.json.encode(row, enc_hook=lambda _: None)
        for row in pa.RecordBatch.from_arrays(columns, names=batch.schema.names).to_pylist()
    ]


_IS_BYTES = (
    pa.types.is_binary,
    pa.types.is_large_binary,
    pa.types.is_fixed_size_binary,
    pa.types.is_binary_view,
)


def _as_usual(column: pa.Array) -> pa.Array:
    """Times in microseconds, for pandas writes nanoseconds; texts that are not marked as such.

    Bytes would else become Base64 in JSON, and pass for a text.

    Times that the schema refuses become 1970, which it refuses too: Python has no year 50,000,
    where milliseconds taken for seconds end up.
    """
    values = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if any(is_bytes(values) for is_bytes in _IS_BYTES):
        return column.cast(pa.string())
    if not pa.types.is_timestamp(column.type):
        return column
    if column.type.unit == "ns":
        column = column.cast(pa.timestamp("us", column.type.tz), safe=False)
    earliest, latest = (
        pa.scalar(time if column.type.tz else time.replace(tzinfo=None), column.type)
        for time in (EARLIEST, LATEST)
    )
    within = pc.and_(pc.greater_equal(column, earliest), pc.less(column, latest))
    return pc.if_else(within, column, pa.scalar(0, column.type))

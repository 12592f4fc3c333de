"""From lines to Arrow: the good ones as a batch, each of the others with its reason."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from operator import attrgetter

import msgspec
import pyarrow as pa

from finops_pipeline.request_logs.line import NO_OBJECT, RequestLine, check_texts, why_refused
from finops_pipeline.request_logs.lines import LONGEST_LINE, Lines, LongLine, line_hash

REQUEST_COLUMNS = pa.schema(
    [
        pa.field("request_id", pa.string(), nullable=False),
        pa.field("requested_at", pa.timestamp("us", tz="UTC"), nullable=False),
        ("openai_project_id", pa.string()),
        ("api_key_id", pa.string()),
        pa.field("model", pa.string(), nullable=False),
        ("system_fingerprint", pa.string()),
        ("service_tier", pa.string()),
        ("is_batch", pa.bool_()),
        pa.field("input_tokens", pa.int64(), nullable=False),
        pa.field("input_cached_tokens", pa.int64(), nullable=False),
        pa.field("input_audio_tokens", pa.int64(), nullable=False),
        ("input_image_tokens", pa.int64()),
        ("input_cached_image_tokens", pa.int64()),
        pa.field("output_tokens", pa.int64(), nullable=False),
        pa.field("output_audio_tokens", pa.int64(), nullable=False),
        ("output_image_tokens", pa.int64()),
        ("user_id", pa.string()),
        ("action", pa.string()),
        ("task_type", pa.string()),
        ("user_intent", pa.string()),
    ]
)
"""What a line says. Tokens that it does not name are 0, those of images null.

An application that logs no images has not said that there were none.
"""

LINE_COLUMNS = pa.schema([pa.field("line_number", pa.int64(), nullable=False), *REQUEST_COLUMNS])

SHOWN_LINES = 100
"""Of each file, so that the report of a file that is wrong from end to end stays short, and its
reading takes no memory for it."""

_decode = msgspec.json.Decoder(RequestLine).decode
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Rejection:
    """A line that is not taken over, and nothing of it but this.

    Attributes:
        line_number: From 1.
        line_hash: SHA-256 of the line without its newline; of a Parquet row written as JSON.
        reason: What is wrong, without any value of the line.
    """

    line_number: int
    line_hash: str
    reason: str


@dataclass(frozen=True)
class Parsed:
    """What some consecutive lines are.

    Attributes:
        requests: ``LINE_COLUMNS`` of the good ones.
        rejections: The first ``SHOWN_LINES`` of the others.
        rejected: How many others there are.
    """

    requests: pa.RecordBatch
    rejections: list[Rejection]
    rejected: int


def parsed(lines: Lines | LongLine) -> Parsed:
    """Validate lines. Blank ones count as lines and are neither good nor rejected."""
    if isinstance(lines, LongLine):
        reason = f"is longer than {LONGEST_LINE} bytes"
        return Parsed(_columns([], []), [Rejection(lines.number, lines.line_hash, reason)], 1)
    found: list[RequestLine] = []
    numbers: list[int] = []
    rejections: list[Rejection] = []
    rejected = 0
    for number, line in enumerate(_without_mark(lines), lines.first):
        try:
            request = _decode(line)
            # All other texts are printable: JSON has no unescaped control characters but the last.
            if b"\\" in line or b"\x7f" in line or not line.isascii():
                check_texts(request)
        except ValueError as error:
            if line.strip():
                rejected += 1
                if rejected <= SHOWN_LINES:
                    rejections.append(Rejection(number, line_hash(line), why_refused(error)))
        else:
            found.append(request)
            numbers.append(number)
    if lines.cut_off and rejections and not found:
        (last,) = rejections
        if last.reason == NO_OBJECT:
            reason = "is half-written: the file ends in its middle"
            rejections = [Rejection(last.line_number, last.line_hash, reason)]
    return Parsed(_columns(numbers, found), rejections, rejected)


def _without_mark(lines: Lines) -> list[bytes]:
    """Without the mark that some programs on Windows begin a file with."""
    if lines.first == 1 and lines.lines and lines.lines[0].startswith(_BYTE_ORDER_MARK):
        return [lines.lines[0].removeprefix(_BYTE_ORDER_MARK), *lines.lines[1:]]
    return lines.lines


def _columns(numbers: list[int], found: list[RequestLine]) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays(
        [pa.array(numbers, pa.int64()), *(_column(field, found) for field in REQUEST_COLUMNS)],
        schema=LINE_COLUMNS,
    )


def _column(field: pa.Field, found: list[RequestLine]) -> pa.Array:
    column = pa.array(map(attrgetter(field.name), found), field.type, size=len(found))
    is_count = pa.types.is_integer(field.type) and not field.nullable
    return column.fill_null(0) if is_count else column


def hashes_of(numbered: Iterator[Lines | LongLine], wanted: set[int]) -> dict[int, str]:
    """The hashes of single lines, by number."""
    found: dict[int, str] = {}
    for lines in numbered:
        if isinstance(lines, Lines):
            last = lines.first + len(lines.lines)
            for number in wanted & set(range(lines.first, last)):
                found[number] = line_hash(_without_mark(lines)[number - lines.first])
        if len(found) == len(wanted):
            break
    return found

"""Reading ahead: files one after the other, from lines to rows that are ready to land."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from finops_pipeline.ingestion.pseudonyms import Pseudonyms
from finops_pipeline.ingestion.request_outcome import FileOutcome, RequestProgress
from finops_pipeline.request_logs import (
    REQUEST_COLUMNS,
    Parsed,
    Rejection,
    UnreadableFileError,
    name_of,
    opened,
)

T = TypeVar("T")

OnProgress = Callable[[RequestProgress], None]


@dataclass(frozen=True)
class Part:
    """Some lines of a file, or its end.

    Attributes:
        path / file: The file, whose counts the reader leaves alone.
        rows: ``LINE_COLUMNS`` with pseudonyms, ``cost_date`` and ``content_hash``; None at the end.
        users: User id of each pseudonym in them.
        rejections / rejected: The first lines that break the schema, and how many do.
        unregistered: OpenAI projects in them that are registered nowhere.
        bytes_read: Of the file, so far.
        error: At the end: why it came early.
    """

    path: Path
    file: FileOutcome
    rows: pa.RecordBatch | None = None
    users: dict[str, str] = field(default_factory=dict)
    rejections: list[Rejection] = field(default_factory=list)
    rejected: int = 0
    unregistered: AbstractSet[str] = frozenset()
    bytes_read: int = 0
    error: str | None = None


class Reader:
    """Reads files for one landing, in one thread.

    Args:
        folder: The watched folder, by which files are named.
        landed: SHA-256 of files that need not be read again.
        registered: OpenAI projects that are registered.
    """

    def __init__(
        self,
        *,
        folder: Path | None,
        landed: AbstractSet[str],
        registered: AbstractSet[str],
        pseudonyms: Pseudonyms,
    ) -> None:
        self._folder = folder
        self._landed = set(landed)
        self._registered = registered
        self._pseudonyms = pseudonyms
        self._hashing = duckdb.connect(config={"threads": 1})

    def parts(self, path: Path) -> Iterator[Part]:
        """The lines of a file, then its end."""
        file = FileOutcome(name_of(path, self._folder))
        try:
            with opened(path, file.name) as log:
                file.seen, file.file_id = log.seen, log.file_id
                file.landed_before = log.file_id in self._landed
                if not file.landed_before:
                    for parsed in log.parsed():
                        yield self._part(path, file, parsed, log.bytes_read)
        except UnreadableFileError as error:
            yield Part(path, file, error=str(error))
        else:
            self._landed.add(log.file_id)
            yield Part(path, file, bytes_read=log.seen.size_bytes)

    def _part(self, path: Path, file: FileOutcome, parsed: Parsed, bytes_read: int) -> Part:
        rows, users = self._pseudonyms.replaced(parsed.requests)
        rows = rows.append_column("cost_date", rows.column("requested_at").cast(pa.date32()))
        rows = rows.append_column("content_hash", content_hashes(self._hashing, rows))
        projects = set(pc.unique(rows.column("openai_project_id")).to_pylist()) - {None}
        return Part(
            path,
            file,
            rows,
            users,
            parsed.rejections,
            parsed.rejected,
            projects - self._registered,
            bytes_read,
        )


def _canonical(field_: pa.Field) -> str:
    """A column as text that says the same for the same value, however the line wrote it."""
    if pa.types.is_timestamp(field_.type):
        return f"epoch_us({field_.name})"
    if pa.types.is_integer(field_.type) and field_.nullable:
        # Came later: a line that does not name it has the hash that it had before.
        return f"CASE WHEN {field_.name} != 0 THEN '{field_.name}=' || {field_.name} END"
    # No text holds a control character.
    return f"coalesce({field_.name}::VARCHAR, chr(30))" if field_.nullable else field_.name


_HASHES = f"""
SELECT md5(concat_ws(chr(31), {", ".join(map(_canonical, REQUEST_COLUMNS))})) AS content_hash
FROM lines
"""


def content_hashes(connection: duckdb.DuckDBPyConnection, rows: pa.RecordBatch) -> pa.Array:
    """32 hexadecimal digits per row: by them a line that comes again is told from a conflict.

    Neither the order of a line's fields nor the zone of its time counts, and of the user only the
    pseudonym: a hash of the user id could be tried out.

    Args:
        connection: Any; of one thread, so that the order of rows is kept.
        rows: With ``REQUEST_COLUMNS``.
    """
    connection.register("lines", pa.table(rows))
    hashes = connection.execute(_HASHES).to_arrow_table().column(0).combine_chunks()
    connection.unregister("lines")
    return hashes


@contextmanager
def read_ahead(items: Iterator[T], depth: int) -> Iterator[Iterator[T]]:
    """``items``, of which a thread reads at most ``depth`` ahead."""
    executor = ThreadPoolExecutor(1, thread_name_prefix="read-ahead")
    end = object()

    def ask() -> Future[T | object]:
        return executor.submit(next, items, end)

    def taken() -> Iterator[T]:
        asked = deque(ask() for _ in range(depth))
        while (item := asked.popleft().result()) is not end:
            asked.append(ask())
            yield item  # type: ignore[misc]

    try:
        yield taken()
    finally:
        executor.shutdown(cancel_futures=True)


class Telling:
    """Tells how far the reading is."""

    def __init__(self, paths: Sequence[Path], on_progress: OnProgress) -> None:
        self._began = time.monotonic()
        self._on_progress = on_progress
        self._files = len(paths)
        self._size = sum(path.stat().st_size for path in paths if path.is_file())
        self._files_done = self._bytes_done = self._requests = 0

    def __call__(self, part: Part) -> None:
        self._requests += part.rows.num_rows if part.rows is not None else 0
        in_file = part.bytes_read
        if part.rows is None:
            self._files_done += 1
            self._bytes_done += part.file.seen.size_bytes if part.file.seen else 0
            in_file = 0
        self._on_progress(
            RequestProgress(
                files=self._files,
                files_done=self._files_done,
                size_bytes=self._size,
                bytes_read=self._bytes_done + in_file,
                requests=self._requests,
                seconds=time.monotonic() - self._began,
            )
        )

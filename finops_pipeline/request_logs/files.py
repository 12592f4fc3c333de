"""Files of request logs: which there are, what each is known by, and its lines."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO

from finops_pipeline.request_logs.lines import (
    Lines,
    LongLine,
    UnreadableFileError,
    json_lines,
    parquet_rows,
)
from finops_pipeline.request_logs.parsing import Parsed, hashes_of, parsed

SUFFIXES = (".jsonl", ".jsonl.gz", ".parquet")


@dataclass(frozen=True)
class Seen:
    """How a file is recognised without reading it.

    Attributes:
        name: Its path, inside the watched folder relative to that.
        modified_at: Last change (UTC).
    """

    name: str
    size_bytes: int
    modified_at: datetime


@dataclass(frozen=True)
class LogFile:
    """An open file.

    Attributes:
        file_id: SHA-256 of its bytes.
    """

    path: Path
    seen: Seen
    file_id: str
    _stream: IO[bytes]

    def parsed(self) -> Iterator[Parsed]:
        """All lines in order, some at a time; may be read again from the beginning.

        Raises:
            UnreadableFileError: the rest cannot be read, or the file was changed meanwhile.
        """
        yield from map(parsed, self._lines())
        if look_at(self.path, self.seen.name, self._stream.fileno()) != self.seen:
            raise UnreadableFileError(
                "It was changed while it was being read.",
                "Write it under another name and rename it once it is whole.",
            )

    def line_hashes(self, numbers: set[int]) -> dict[int, str]:
        """SHA-256 of single lines, by number; a whole reading.

        Raises:
            UnreadableFileError: the file cannot be read any more.
        """
        return hashes_of(self._lines(), numbers)

    @property
    def bytes_read(self) -> int:
        """How far the reading is."""
        return self._stream.tell()

    def _lines(self) -> Iterator[Lines | LongLine]:
        self._stream.seek(0)
        if self.path.name.endswith(".parquet"):
            return parquet_rows(self._stream)
        return json_lines(self._stream, compressed=self.path.name.endswith(".gz"))


@contextmanager
def opened(path: Path, name: str) -> Iterator[LogFile]:
    """Open a file and hash it.

    Raises:
        UnreadableFileError: it cannot be opened, is no file, or its name has another suffix.
    """
    stream, seen, file_id = _open(path, name)
    with stream:
        yield LogFile(path, seen, file_id, stream)


def _open(path: Path, name: str) -> tuple[IO[bytes], Seen, str]:
    if not path.name.endswith(SUFFIXES):
        raise UnreadableFileError(f"Its name does not end in {', '.join(SUFFIXES)}.")
    try:
        # Without waiting: a named pipe would otherwise block until somebody writes to it.
        stream = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb")
    except OSError as error:
        raise UnreadableFileError(f"It cannot be opened: {error.strerror}.") from None
    if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
        stream.close()
        raise UnreadableFileError("It is no regular file.")
    try:
        seen = look_at(path, name, stream.fileno())
        return stream, seen, hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        stream.close()
        raise UnreadableFileError(f"It cannot be read: {error.strerror}.") from None


def look_at(path: Path, name: str, descriptor: int | None = None) -> Seen:
    """What a file is recognised by.

    Raises:
        OSError: it is gone.
    """
    found = path.stat() if descriptor is None else os.fstat(descriptor)
    # In whole microseconds, as the warehouse keeps it.
    modified_at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(
        microseconds=found.st_mtime_ns // 1000
    )
    return Seen(name, found.st_size, modified_at)


def name_of(path: Path, folder: Path | None) -> str:
    """The name under which a file is on record: inside the watched folder without that."""
    absolute = path.absolute()
    if folder is not None and absolute.is_relative_to(folder):
        absolute = absolute.relative_to(folder)
    # A name may have bytes that are no text.
    return os.fsencode(absolute).decode("utf-8", "backslashreplace")


def log_files(paths: Iterable[Path]) -> list[Path]:
    """Files as they are, and of folders what lies in them and below, by suffix; sorted there."""
    found: dict[Path, None] = {}
    for path in paths:
        inside = (
            sorted(
                each for each in path.rglob("*") if each.name.endswith(SUFFIXES) and each.is_file()
            )
            if path.is_dir()
            else [path]
        )
        found |= dict.fromkeys(inside)
    return list(found)

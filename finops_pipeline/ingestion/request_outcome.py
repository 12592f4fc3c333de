"""What a landing of request logs did, per file, and how far it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

from finops_pipeline.request_logs import SHOWN_LINES, Rejection, Seen

CONFLICT = "another line has the same request_id with other content; the first one stays"


class FileStatus(StrEnum):
    """How the reading of a file ended."""

    OK = "ok"
    PARTIAL = "partial"
    """Read to its end, without some of its lines."""
    FAILED = "failed"
    """Not read to its end, or not at all."""


@dataclass
class FileOutcome:
    """One file.

    Attributes:
        name: As on record.
        file_id: SHA-256 of its bytes; None where it could not be opened.
        landed_before: It was read to its end earlier and not again now; counts and lines are of
            then.
        new / duplicates / conflicts / rejected: Its lines, each counted once.
        new_per_day: UTC day → requests that landed.
        first_day / last_day: Of all its good lines (UTC).
        lines: The first lines that were not taken over, in order of their numbers per load.
        unregistered: OpenAI projects that are registered nowhere; their requests landed.
        error: Why it was not read to its end.
    """

    name: str
    seen: Seen | None = None
    file_id: str | None = None
    landed_before: bool = False
    new: int = 0
    duplicates: int = 0
    conflicts: int = 0
    rejected: int = 0
    new_per_day: Counter[date] = field(default_factory=Counter)
    first_day: date | None = None
    last_day: date | None = None
    lines: list[Rejection] = field(default_factory=list)
    unregistered: set[str] = field(default_factory=set)
    error: str | None = None

    def reject(self, lines: list[Rejection], count: int) -> None:
        """Count lines that break the schema, and keep the first of them.

        Args:
            lines: The first ``SHOWN_LINES`` of them.
        """
        self.rejected += count
        self.lines += lines[: max(0, SHOWN_LINES - len(self.lines))]

    @property
    def rows(self) -> int:
        return self.new + self.duplicates + self.conflicts + self.rejected

    @property
    def status(self) -> FileStatus:
        if self.error is not None:
            return FileStatus.FAILED
        return FileStatus.PARTIAL if self.conflicts or self.rejected else FileStatus.OK

    @property
    def is_whole(self) -> bool:
        """Whether this reading left nothing that somebody should look at."""
        return self.landed_before or (self.status is FileStatus.OK and not self.unregistered)


@dataclass
class RequestLanding:
    """The result of one landing.

    Attributes:
        loads: Loads that were made visible.
    """

    run_id: str
    files: list[FileOutcome] = field(default_factory=list)
    loads: int = 0

    @property
    def new(self) -> int:
        return sum(file.new for file in self.files if not file.landed_before)

    @property
    def unregistered(self) -> list[str]:
        """OpenAI projects that are registered nowhere."""
        return sorted(set().union(*(file.unregistered for file in self.files)))


@dataclass(frozen=True)
class LandedDay:
    """What has landed for a UTC day since the landing began.

    Attributes:
        files: Files that the requests came from.
        duplicates / rejected: Lines of those files, whatever their day.
    """

    requests: int
    files: int
    duplicates: int
    rejected: int


def landed_days(files: list[FileOutcome], days: set[date]) -> Mapping[date, LandedDay]:
    """What ``files`` brought for each of these days."""
    found = {}
    for day in sorted(days):
        of_day = [file for file in files if file.new_per_day[day]]
        found[day] = LandedDay(
            sum(file.new_per_day[day] for file in of_day),
            len(of_day),
            sum(file.duplicates for file in of_day),
            sum(file.rejected + file.conflicts for file in of_day),
        )
    return found


@dataclass(frozen=True)
class RequestProgress:
    """How far a landing is.

    Attributes:
        size_bytes / bytes_read: Of all files.
        requests: Good lines so far.
        seconds: Since it began.
    """

    files: int
    files_done: int
    size_bytes: int
    bytes_read: int
    requests: int
    seconds: float


def in_words(progress: RequestProgress) -> str:
    """One line for a log."""
    return (
        f"{progress.files_done} of {progress.files} files, {progress.bytes_read / 2**20:,.0f} of "
        f"{progress.size_bytes / 2**20:,.0f} MiB, {progress.requests} requests in "
        f"{progress.seconds:.0f} s."
    )

"""Landing request logs: files in, requests that are new out, in a few loads.

A thread reads and checks lines while the calling thread loads what was read before. A load holds
the requests of a part of a file or of many files; a file's entry in the ledger is written with the
last of its requests. So a landing that breaks off leaves whole loads and files without an entry,
and the next one lands exactly what is missing: what has landed is known by its request ids.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Protocol

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from finops_pipeline.ingestion.batches import Batch
from finops_pipeline.ingestion.loading import Loader, create_raw_tables
from finops_pipeline.ingestion.pseudonyms import Pseudonyms, Users
from finops_pipeline.ingestion.request_ledger import LandedFiles, landed_files, not_new
from finops_pipeline.ingestion.request_outcome import (
    CONFLICT,
    FileOutcome,
    LandedDay,
    RequestLanding,
    landed_days,
)
from finops_pipeline.ingestion.request_reading import OnProgress, Part, Reader, Telling, read_ahead
from finops_pipeline.ingestion.tables import REQUEST_FILES, REQUESTS
from finops_pipeline.registry import Project
from finops_pipeline.request_logs import SHOWN_LINES, Rejection, UnreadableFileError, opened
from finops_pipeline.warehouse.warehouse import Warehouse

_LOAD_ROWS = 100_000
"""In memory twice over: one load is written while the next is read."""

_PARTS_AHEAD = 8
"""About ten thousand lines each."""

OnLanded = Callable[[Mapping[date, LandedDay]], None]
"""Told of the days of each load once it is visible, with all that landed for them so far."""


class ProjectsAndUsers(Users, Protocol):
    """What a landing asks the registry for."""

    def list_projects(self) -> list[Project]: ...


def land_request_files(
    paths: Sequence[Path],
    *,
    warehouse: Warehouse,
    registry: ProjectsAndUsers,
    run_id: str,
    folder: Path | None = None,
    on_progress: OnProgress = lambda _: None,
    on_landed: OnLanded = lambda _: None,
) -> RequestLanding:
    """Land the requests of ``paths`` that have not landed yet.

    Each file and each line fails alone: what went wrong is in the result, never with a value.

    Args:
        paths: Files; see :func:`finops_pipeline.request_logs.log_files` for folders.
        folder: The watched folder: files in it are on record by their path inside it.

    Raises:
        FinopsError: the warehouse cannot be opened or was held for too long, or the key of the
            pseudonyms does not open.
    """
    create_raw_tables(warehouse)
    with warehouse.writing("reading the ledger of request logs"), warehouse.connect() as connection:
        known = landed_files(connection)
    reader = Reader(
        folder=folder,
        landed=known.entries.keys(),
        registered={project.openai_project_id for project in registry.list_projects()},
        pseudonyms=Pseudonyms(registry),
    )
    with warehouse.scratch_folder() as scratch:
        landing = _Landing(
            warehouse,
            Loader(warehouse, scratch, erased=registry.erased_users, tables={}),
            known,
            RequestLanding(run_id),
        )
        tell = Telling(paths, on_progress)
        every_part = (part for path in paths for part in reader.parts(path))
        with read_ahead(every_part, _PARTS_AHEAD) as parts:
            for chunk in _chunks(parts, tell):
                on_landed(landing.land(chunk))
    return landing.result


def _chunks(parts: Iterator[Part], tell: Callable[[Part], None]) -> Iterator[list[Part]]:
    chunk: list[Part] = []
    rows = 0
    for part in parts:
        tell(part)
        chunk.append(part)
        # Rejected lines too: of a file of nothing else every part would be held.
        rows += part.rejected + (part.rows.num_rows if part.rows is not None else 0)
        if rows >= _LOAD_ROWS:
            yield chunk
            chunk, rows = [], 0
    if chunk:
        yield chunk


class _Landing:
    """Decides which rows are new, and loads them with the entries of the files that ended."""

    def __init__(
        self, warehouse: Warehouse, loader: Loader, known: LandedFiles, result: RequestLanding
    ) -> None:
        self.result = result
        self._warehouse = warehouse
        self._loader = loader
        self._known = known
        self._conflicts: dict[str, list[int]] = {}

    def land(self, parts: list[Part]) -> Mapping[date, LandedDay]:
        """One load, or none where nothing is new; the days that it brought something for."""
        landed_at = datetime.now(UTC)
        batches: list[Batch] = []
        entries: list[dict[str, Any]] = []
        days: set[date] = set()
        verdicts = self._verdicts(parts)
        for part in parts:
            if not self.result.files or self.result.files[-1] is not part.file:
                self.result.files.append(part.file)
            if part.rows is None:
                entries += self._ended(part, landed_at)
                continue
            new = self._counted(part, next(verdicts))
            if new.num_rows:
                days |= set(_per_day(new))
                table = _landing(new, part.file, landed_at)
                batches.append(Batch((("requests", table),), rows=table.num_rows, users=part.users))
        if entries:
            table = pa.Table.from_pylist(entries, schema=REQUEST_FILES)
            batches.append(Batch((("request_files", table),)))
        if batches:
            self._loader.load(_handed_over(batches))
            # dlt leaves the rows of a load in cycles of objects, which only this frees at once.
            gc.collect()
            self.result.loads += 1
        return landed_days(self.result.files, days)

    def _verdicts(self, parts: list[Part]) -> Iterator[dict[int, bool]]:
        """Per part with rows: the rows that are not new, and whether they are duplicates."""
        batches = [part.rows for part in parts if part.rows is not None]
        count = sum(rows.num_rows for rows in batches)
        found: list[tuple[int, bool]] = []
        if count:
            keys = pa.Table.from_batches(
                [rows.select(["request_id", "content_hash"]) for rows in batches]
            ).append_column("place", pa.array(range(count), pa.int64()))
            with (
                self._warehouse.writing("comparing requests"),
                self._warehouse.connect() as connection,
            ):
                found = sorted(not_new(connection, keys))
        begin, place = 0, 0
        for rows in batches:
            end = begin + rows.num_rows
            of_part: dict[int, bool] = {}
            while place < len(found) and found[place][0] < end:
                of_part[found[place][0] - begin] = found[place][1]
                place += 1
            yield of_part
            begin = end

    def _counted(self, part: Part, not_new: dict[int, bool]) -> pa.RecordBatch:
        """The part's new rows; everything else about it goes into the file's outcome."""
        assert part.rows is not None
        file, rows = part.file, part.rows
        file.reject(part.rejections, part.rejected)
        file.unregistered |= part.unregistered
        if rows.num_rows:
            span = pc.min_max(rows.column("cost_date")).as_py()
            file.first_day = min(span["min"], file.first_day or span["min"])
            file.last_day = max(span["max"], file.last_day or span["max"])
        if not_new:
            conflicts = [place for place, is_duplicate in not_new.items() if not is_duplicate]
            file.conflicts += len(conflicts)
            file.duplicates += len(not_new) - len(conflicts)
            if conflicts:
                shown = self._conflicts.setdefault(file.name, [])
                first = conflicts[: SHOWN_LINES - len(shown)]
                shown += rows.column("line_number").take(pa.array(first, pa.int64())).to_pylist()
            rows = rows.filter(pa.array([place not in not_new for place in range(rows.num_rows)]))
        file.new += rows.num_rows
        file.new_per_day.update(_per_day(rows))
        return rows

    def _ended(self, part: Part, landed_at: datetime) -> list[dict[str, Any]]:
        """The file's entry in the ledger, unless one says the same already."""
        file = part.file
        file.error = part.error
        if conflicts := self._conflicts.pop(file.name, None):
            hashes = _hashes(part, set(conflicts))
            found = [Rejection(line, hashes.get(line, ""), CONFLICT) for line in conflicts]
            file.lines = sorted([*file.lines, *found], key=lambda line: line.line_number)
            del file.lines[SHOWN_LINES:]
        if file.landed_before:
            self._recall(file)
            if file.seen in self._known.seen:
                return []
        entry = _entry(file, self.result.run_id, landed_at)
        if file.error is None and file.file_id is not None:
            # The same bytes may come again in this landing.
            self._known.entries[file.file_id] = entry
        return [entry]

    def _recall(self, file: FileOutcome) -> None:
        """What the earlier reading found, all of whose good lines are duplicates now."""
        assert file.file_id is not None
        entry = self._known.entries[file.file_id]
        file.duplicates = entry["new_count"] + entry["duplicate_count"]
        file.conflicts, file.rejected = entry["conflict_count"], entry["rejected_count"]
        file.first_day, file.last_day = entry["first_day"], entry["last_day"]
        file.lines = msgspec.json.decode(entry["lines"] or "[]", type=list[Rejection])


def _handed_over(batches: list[Batch]) -> Iterator[Batch]:
    """Each batch, kept by nobody here: what a load leaves behind goes only now and then."""
    batches.reverse()
    while batches:
        yield batches.pop()


def _per_day(rows: pa.RecordBatch) -> dict[date, int]:
    counts = pc.value_counts(rows.column("cost_date")).to_pylist()
    return {count["values"]: count["counts"] for count in counts}


def _landing(rows: pa.RecordBatch, file: FileOutcome, landed_at: datetime) -> pa.Table:
    same = {"file_id": file.file_id, "landed_at": landed_at}
    return pa.Table.from_arrays(
        [
            pa.repeat(pa.scalar(same[column.name], column.type), rows.num_rows)
            if column.name in same
            else rows.column(column.name)
            for column in REQUESTS
        ],
        schema=REQUESTS,
    )


def _entry(file: FileOutcome, run_id: str, landed_at: datetime) -> dict[str, Any]:
    return {
        "file_id": file.file_id,
        "file_name": file.name,
        "size_bytes": file.seen.size_bytes if file.seen else None,
        "modified_at": file.seen.modified_at if file.seen else None,
        "run_id": run_id,
        "landed_at": landed_at,
        "status": file.status.value,
        "row_count": file.rows,
        "new_count": file.new,
        "duplicate_count": file.duplicates,
        "conflict_count": file.conflicts,
        "rejected_count": file.rejected,
        "first_day": file.first_day,
        "last_day": file.last_day,
        "error": file.error,
        "lines": msgspec.json.encode(file.lines).decode(),
    }


def _hashes(part: Part, lines: set[int]) -> dict[int, str]:
    """The hashes of lines that turned out to conflict, from a second reading of the file."""
    try:
        with opened(part.path, part.file.name) as log:
            return log.line_hashes(lines) if log.file_id == part.file.file_id else {}
    except UnreadableFileError:
        return {}

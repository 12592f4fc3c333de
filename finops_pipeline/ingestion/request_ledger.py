"""The ledger of request logs: which files have landed, and which lie in the folder and wait."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from finops_pipeline.errors import FinopsError
from finops_pipeline.ingestion.loading import raw_tables
from finops_pipeline.request_logs import Seen, log_files, look_at, name_of
from finops_pipeline.warehouse.warehouse import Warehouse

QUIET = timedelta(minutes=1)
"""A file that was changed since may still be being written."""

_COMPLETE = "_dlt_load_id IN (SELECT load_id FROM raw._dlt_loads WHERE status = 0)"

_LANDED = f"""
SELECT * EXCLUDE (_dlt_load_id) FROM raw.request_files
WHERE status IN ('ok', 'partial') AND {_COMPLETE}
ORDER BY landed_at
"""

_NOT_NEW = f"""
WITH landed AS (
  SELECT request_id, arg_min(content_hash, (landed_at, file_id, line_number)) AS content_hash
  FROM raw.requests
  WHERE request_id IN (SELECT request_id FROM incoming) AND {_COMPLETE}
  GROUP BY request_id
),

first_lines AS (
  SELECT request_id, min(place) AS place, arg_min(content_hash, place) AS content_hash
  FROM incoming
  GROUP BY request_id
)

SELECT
  incoming.place,
  coalesce(landed.content_hash, first_lines.content_hash) = incoming.content_hash AS is_duplicate
FROM incoming
INNER JOIN first_lines ON incoming.request_id = first_lines.request_id
LEFT JOIN landed ON incoming.request_id = landed.request_id
WHERE landed.request_id IS NOT NULL OR incoming.place > first_lines.place
"""

_FILES = f"""
SELECT * EXCLUDE (_dlt_load_id) FROM raw.request_files
WHERE {_COMPLETE}
ORDER BY landed_at, file_name
"""


@dataclass(frozen=True)
class LandedFiles:
    """Files that were read to their end.

    Attributes:
        entries: The ledger's newest entry by SHA-256 of the file.
        seen: By what they were recognised.
    """

    entries: dict[str, dict[str, Any]]
    seen: frozenset[Seen]


def landed_files(connection: duckdb.DuckDBPyConnection) -> LandedFiles:
    """What complete loads hold; only while writing."""
    if not _ledger_exists(connection):
        return LandedFiles({}, frozenset())
    found = connection.execute(_LANDED).to_arrow_table().to_pylist()
    return LandedFiles(
        {entry["file_id"]: entry for entry in found},
        frozenset(
            Seen(entry["file_name"], entry["size_bytes"], entry["modified_at"]) for entry in found
        ),
    )


def not_new(connection: duckdb.DuckDBPyConnection, incoming: pa.Table) -> list[tuple[int, bool]]:
    """Which of some requests have landed before, or come twice; only while writing.

    The table is scanned once, and what is kept of it while it is are the ids looked for.

    Args:
        incoming: ``place`` (int64, unique), ``request_id``, ``content_hash``.

    Returns:
        Place, and whether its content is that of the first one of this id; if not they conflict.
    """
    connection.register("incoming", incoming)
    found: list[tuple[int, bool]] = connection.execute(_NOT_NEW).fetchall()
    connection.unregister("incoming")
    return found


def request_files(warehouse: Warehouse) -> list[dict[str, Any]]:
    """Every entry of the ledger, the oldest first.

    Raises:
        FinopsError: the warehouse is held by somebody else for too long.
    """
    if not warehouse.path.exists():
        return []
    with warehouse.writing("listing request logs"), warehouse.connect() as connection:
        if not _ledger_exists(connection):
            return []
        return list(connection.execute(_FILES).to_arrow_table().to_pylist())


def waiting_files(warehouse: Warehouse, folder: Path, now: datetime) -> list[Path]:
    """Files in ``folder`` and below that were never read to their end, unchanged for a minute.

    Args:
        now: The clock (UTC) that the files' times of change are compared with.

    Raises:
        FinopsError: there is no such folder, or the warehouse is held for too long.
    """
    if not folder.is_dir():
        raise FinopsError(
            f"The folder of request logs, {folder}, does not exist.",
            "Create it, or set FINOPS_REQUEST_LOGS_DIR to the right one.",
        )
    quiet = _quiet_files(folder, now)
    if not (quiet and warehouse.path.exists()):
        return list(quiet)
    with warehouse.writing("looking for request logs"), warehouse.connect() as connection:
        landed = landed_files(connection).seen
    return [path for path, seen in quiet.items() if seen not in landed]


def _quiet_files(folder: Path, now: datetime) -> dict[Path, Seen]:
    found: dict[Path, Seen] = {}
    for path in log_files([folder]):
        try:
            seen = look_at(path, name_of(path, folder))
        except OSError:  # gone meanwhile
            continue
        if seen.modified_at <= now - QUIET:
            found[path] = seen
    return found


def _ledger_exists(connection: duckdb.DuckDBPyConnection) -> bool:
    return raw_tables(connection) >= {"request_files", "_dlt_loads"}

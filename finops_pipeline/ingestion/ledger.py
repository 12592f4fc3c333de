"""What earlier collections know: read from the ledger before the first call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

import duckdb

from finops_pipeline.ingestion.outcome import BucketOutcome, Status

_KNOWN_BUCKETS = """
SELECT team_id, endpoint, cost_date, content_hash, query_signature, revision_id
FROM raw.collections
WHERE endpoint IN (SELECT unnest($endpoints)) AND status = 'ok'
  AND team_id IN (SELECT unnest($teams)) AND cost_date BETWEEN $start AND $end
  AND _dlt_load_id IN (SELECT load_id FROM raw._dlt_loads WHERE status = 0)
QUALIFY row_number() OVER (
  PARTITION BY team_id, endpoint, cost_date
  ORDER BY collected_at DESC, _dlt_load_id DESC, collection_id DESC
) = 1
"""

_USUAL_BUCKETS = """
SELECT team_id, endpoint, quantile_disc(row_count, 0.9)
FROM raw.collections
WHERE endpoint IN (SELECT unnest($endpoints)) AND status = 'ok'
  AND team_id IN (SELECT unnest($teams))
  AND _dlt_load_id IN (SELECT load_id FROM raw._dlt_loads WHERE status = 0)
GROUP BY ALL
"""

_KNOWN_PROJECTS = """
SELECT team_id, key_fingerprint, project_id, project_name, status
FROM raw.openai_projects
WHERE team_id IN (SELECT unnest($teams))
  AND _dlt_load_id IN (SELECT load_id FROM raw._dlt_loads WHERE status = 0)
QUALIFY row_number() OVER (
  PARTITION BY team_id, key_fingerprint, project_id ORDER BY collected_at DESC
) = 1
"""

_READ_BY_RUNS = """
SELECT team_id, endpoint, cost_date, status, row_count, currency, cost
FROM raw.collections
WHERE endpoint IN (SELECT unnest($endpoints)) AND status IN ('ok', 'unsupported')
  AND run_id IN (SELECT unnest($runs))
  AND team_id IN (SELECT unnest($teams)) AND cost_date BETWEEN $start AND $end
  AND _dlt_load_id IN (SELECT load_id FROM raw._dlt_loads WHERE status = 0)
QUALIFY row_number() OVER (
  PARTITION BY team_id, endpoint, cost_date
  ORDER BY collected_at DESC, _dlt_load_id DESC, collection_id DESC
) = 1
"""


@dataclass(frozen=True, slots=True)
class KnownContent:
    """The content of a bucket at its newest successful reading, and the revision that holds it."""

    content_hash: str
    query_signature: str
    revision_id: str


@dataclass(frozen=True)
class Ledger:
    """What complete loads hold about some teams and days.

    It may be outdated by the time it is used, which does no harm: an entry names the revision
    that it read, and the newest reading wins whatever landed in between.

    Attributes:
        content: Per (team, endpoint, day).
        rows_per_bucket: (team, endpoint) → rows that nine of ten buckets do not exceed; one day
            of many rows must not make every later page small.
        project_names: (team, key fingerprint, OpenAI project) → (name, status).
    """

    content: dict[tuple[str, str, date], KnownContent] = field(default_factory=dict)
    rows_per_bucket: dict[tuple[str, str], int] = field(default_factory=dict)
    project_names: dict[tuple[str, str, str], tuple[str | None, str | None]] = field(
        default_factory=dict
    )


def read_ledger(
    connection: duckdb.DuckDBPyConnection,
    endpoints: Sequence[str],
    teams: Sequence[str],
    start: date,
    end: date,
) -> Ledger:
    """Read what is known of ``teams`` from ``start`` to ``end``, both inclusive (UTC days)."""
    scope = {"teams": list(teams)}
    bucket_scope = {**scope, "endpoints": list(endpoints)}
    window = {**bucket_scope, "start": start, "end": end}
    return Ledger(
        content={
            (team, endpoint, day): KnownContent(content_hash, signature, revision)
            for team, endpoint, day, content_hash, signature, revision in connection.execute(
                _KNOWN_BUCKETS, window
            ).fetchall()
        },
        rows_per_bucket={
            (team, endpoint): rows
            for team, endpoint, rows in connection.execute(_USUAL_BUCKETS, bucket_scope).fetchall()
        },
        project_names={
            (team, fingerprint, project): (name, status)
            for team, fingerprint, project, name, status in connection.execute(
                _KNOWN_PROJECTS, scope
            ).fetchall()
        },
    )


def read_by_runs(
    connection: duckdb.DuckDBPyConnection,
    endpoints: Sequence[str],
    teams: Sequence[str],
    start: date,
    end: date,
    runs: Sequence[str],
) -> list[BucketOutcome]:
    """What ``runs`` read, or found unsupported, and landed completely.

    ``start`` and ``end`` are UTC days, both inclusive.
    """
    scope = {
        "endpoints": list(endpoints),
        "teams": list(teams),
        "start": start,
        "end": end,
        "runs": list(runs),
    }
    return [
        BucketOutcome(
            team,
            endpoint,
            day,
            Status(status),
            row_count or 0,
            costs=((currency, cost),) if currency is not None else (),
        )
        for team, endpoint, day, status, row_count, currency, cost in connection.execute(
            _READ_BY_RUNS, scope
        ).fetchall()
    ]

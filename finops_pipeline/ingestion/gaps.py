"""What is missing: expected against collected (team, endpoint, day) buckets, by the ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from finops_pipeline.ingestion.endpoints import ENDPOINT_NAMES
from finops_pipeline.ingestion.loading import ledger_exists
from finops_pipeline.ingestion.refusals import DONE_WITHOUT
from finops_pipeline.warehouse.warehouse import Warehouse

_GRACE = timedelta(hours=12)
"""A day counts as missing only so long after its end: until then a daily run will read it."""

_GAPS = f"""
WITH teams AS (
  SELECT unnest($teams) AS team_id, unnest($keys) AS key_id
),
of_teams AS NOT MATERIALIZED (
  SELECT collections.*, collections.key_id IS NOT DISTINCT FROM teams.key_id AS with_this_key
  FROM raw.collections INNER JOIN teams USING (team_id)
  WHERE collections._dlt_load_id IN (SELECT load_id FROM raw._dlt_loads WHERE status = 0)
),
days AS (
  -- By all endpoints: what is expected of one does not depend on which others are looked at.
  SELECT
    team_id,
    unnest(generate_series(
      greatest(min(cost_date), $first_day), $yesterday, INTERVAL 1 DAY
    ))::DATE AS cost_date
  FROM of_teams WHERE endpoint IN (SELECT unnest($every_endpoint)) GROUP BY team_id
),
expected AS (
  SELECT days.*, endpoints.endpoint
  FROM days CROSS JOIN (SELECT unnest($endpoints) AS endpoint) AS endpoints
),
readings AS NOT MATERIALIZED (
  SELECT * FROM of_teams WHERE endpoint IN (SELECT unnest($endpoints))
),
{DONE_WITHOUT},
read AS (
  SELECT team_id, endpoint, cost_date, max(read_at) AS read_at
  FROM (
    SELECT team_id, endpoint, cost_date, max(collected_at) AS read_at
    FROM readings WHERE status = 'ok' GROUP BY ALL
    UNION ALL
    SELECT team_id, endpoint, cost_date, refused_at FROM done_without
  )
  GROUP BY ALL
),
failures AS (
  SELECT readings.*
  FROM readings LEFT JOIN read USING (team_id, endpoint, cost_date)
  WHERE readings.status = 'failed' AND readings.collected_at > coalesce(read.read_at, '-infinity')
)
SELECT
  expected.team_id, expected.endpoint, expected.cost_date, any_value(read.read_at),
  coalesce(list(DISTINCT failures.run_id) FILTER (failures.run_id IS NOT NULL), []),
  coalesce(list(DISTINCT failures.run_id) FILTER (failures.with_this_key), []),
  max(failures.collected_at) FILTER (failures.with_this_key),
  arg_max(failures.error, failures.collected_at)
FROM expected
LEFT JOIN read USING (team_id, endpoint, cost_date)
LEFT JOIN failures USING (team_id, endpoint, cost_date)
WHERE failures.run_id IS NOT NULL
  OR (read.read_at IS NULL AND expected.cost_date <= $newest_missing)
GROUP BY expected.team_id, expected.endpoint, expected.cost_date
ORDER BY expected.team_id, expected.endpoint, expected.cost_date
"""


@dataclass(frozen=True)
class Gap:
    """A (team, endpoint, day) that was never read, or whose latest reading failed.

    Attributes:
        endpoint: As in the ledger.
        read_at: Its newest successful reading (UTC), if any.
        failed_runs: Runs that failed to read it since then.
        tries: Of these, the ones that used the key which is active now: a new key begins anew.
        tried_at: The newest of ``tries`` (UTC).
        error: Why the newest of ``failed_runs`` failed.
    """

    team_id: str
    endpoint: str
    day: date
    read_at: datetime | None = None
    failed_runs: frozenset[str] = frozenset()
    tries: frozenset[str] = frozenset()
    tried_at: datetime | None = None
    error: str | None = None


def find_gaps(
    warehouse: Warehouse,
    *,
    endpoints: Sequence[str],
    keys: Mapping[str, str],
    first_day: date,
    now: datetime,
) -> list[Gap]:
    """Gaps of some teams, by team, endpoint and day.

    A team is expected to be read at every endpoint from its first requested day, whichever endpoint
    that was of, but not before ``first_day``, to yesterday; what it does without is no gap (see
    :mod:`finops_pipeline.ingestion.refusals`). A day that nobody has asked for yet is missing from
    twelve hours after its end on.

    Args:
        endpoints: Those whose gaps are wanted.
        keys: Team → id of its active key.
        now: Decides what is yesterday (UTC).

    Raises:
        FinopsError: the warehouse is held by somebody else for too long.
    """
    now = now.astimezone(UTC)
    with warehouse.writing("looking for gaps"), warehouse.connect() as connection:
        if not ledger_exists(connection):
            return []
        found = connection.execute(
            _GAPS,
            {
                "teams": list(keys),
                "keys": list(keys.values()),
                "endpoints": list(endpoints),
                "every_endpoint": list(ENDPOINT_NAMES),
                "first_day": first_day,
                "yesterday": now.date() - timedelta(days=1),
                "newest_missing": (now - _GRACE).date() - timedelta(days=1),
            },
        ).fetchall()
    return [
        Gap(team, endpoint, day, read_at, frozenset(failed), frozenset(tries), tried_at, error)
        for team, endpoint, day, read_at, failed, tries, tried_at, error in found
    ]

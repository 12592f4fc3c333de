"""What is missing: expected against collected (team, day) buckets, by the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from finops_pipeline.ingestion.loading import raw_tables_exist
from finops_pipeline.warehouse.warehouse import Warehouse

_GRACE = timedelta(hours=12)
"""A day counts as missing only so long after its end: until then a daily run will read it."""

_GAPS = """
WITH teams AS (
  SELECT unnest($teams) AS team_id, unnest($keys) AS key_id
),
readings AS (
  SELECT collections.*, collections.key_id IS NOT DISTINCT FROM teams.key_id AS with_this_key
  FROM raw.collections INNER JOIN teams USING (team_id)
  WHERE collections.endpoint = $endpoint
    AND collections._dlt_load_id IN (SELECT load_id FROM raw._dlt_loads WHERE status = 0)
),
expected AS (
  SELECT
    team_id,
    unnest(generate_series(
      greatest(min(cost_date), $first_day), $yesterday, INTERVAL 1 DAY
    ))::DATE AS cost_date
  FROM readings GROUP BY team_id
),
read AS (
  SELECT team_id, cost_date, max(collected_at) AS read_at
  FROM readings WHERE status = 'ok' GROUP BY ALL
),
failures AS (
  SELECT readings.*
  FROM readings LEFT JOIN read USING (team_id, cost_date)
  WHERE readings.status <> 'ok' AND readings.collected_at > coalesce(read.read_at, '-infinity')
)
SELECT
  expected.team_id, expected.cost_date, any_value(read.read_at),
  coalesce(list(DISTINCT failures.run_id) FILTER (failures.run_id IS NOT NULL), []),
  coalesce(list(DISTINCT failures.run_id) FILTER (failures.with_this_key), []),
  max(failures.collected_at) FILTER (failures.with_this_key),
  arg_max(failures.error, failures.collected_at)
FROM expected
LEFT JOIN read USING (team_id, cost_date)
LEFT JOIN failures USING (team_id, cost_date)
WHERE failures.run_id IS NOT NULL
  OR (read.read_at IS NULL AND expected.cost_date <= $newest_missing)
GROUP BY expected.team_id, expected.cost_date
ORDER BY expected.team_id, expected.cost_date
"""


@dataclass(frozen=True)
class Gap:
    """A (team, day) that was never read, or whose latest reading failed.

    Attributes:
        read_at: Its newest successful reading (UTC), if any.
        failed_runs: Runs that failed to read it since then.
        tries: Of these, the ones that used the key which is active now: a new key begins anew.
        tried_at: The newest of ``tries`` (UTC).
        error: Why the newest of ``failed_runs`` failed.
    """

    team_id: str
    day: date
    read_at: datetime | None = None
    failed_runs: frozenset[str] = frozenset()
    tries: frozenset[str] = frozenset()
    tried_at: datetime | None = None
    error: str | None = None


def find_gaps(
    warehouse: Warehouse,
    *,
    endpoint: str,
    keys: Mapping[str, str],
    first_day: date,
    now: datetime,
) -> list[Gap]:
    """Gaps of some teams, by team and day.

    A team is expected to be read from its first requested day, but not before ``first_day``, to
    yesterday. A day that nobody has asked for yet is missing from twelve hours after its end on.

    Args:
        keys: Team → id of its active key.
        now: Decides what is yesterday (UTC).

    Raises:
        FinopsError: the warehouse is held by somebody else for too long.
    """
    now = now.astimezone(UTC)
    with warehouse.writing("looking for gaps"):
        if not raw_tables_exist(warehouse):
            return []
        with warehouse.connect() as connection:
            found = connection.execute(
                _GAPS,
                {
                    "teams": list(keys),
                    "keys": list(keys.values()),
                    "endpoint": endpoint,
                    "first_day": first_day,
                    "yesterday": now.date() - timedelta(days=1),
                    "newest_missing": (now - _GRACE).date() - timedelta(days=1),
                },
            ).fetchall()
    return [
        Gap(team, day, read_at, frozenset(failed), frozenset(tries), tried_at, error)
        for team, day, read_at, failed, tries, tried_at, error in found
    ]

"""Which days a daily run reads: the newest closed ones, and every older one not settled."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

from finops_pipeline.ingestion.days import ranges
from finops_pipeline.ingestion.loading import ledger_exists
from finops_pipeline.ingestion.refusals import DONE_WITHOUT
from finops_pipeline.warehouse.warehouse import Warehouse

_UNSETTLED_BY_TEAM = f"""
WITH readings AS NOT MATERIALIZED (
  SELECT * FROM raw.collections
  WHERE endpoint IN (SELECT unnest($endpoints)) AND team_id IN (SELECT unnest($teams))
    AND _dlt_load_id IN (SELECT load_id FROM raw._dlt_loads WHERE status = 0)
),
contents AS MATERIALIZED (
  SELECT team_id, endpoint, cost_date, status, max(collected_at) AS read_at
  FROM readings
  GROUP BY team_id, endpoint, cost_date, status, content_hash, query_signature
),
buckets AS (
  SELECT
    team_id, endpoint, cost_date, max(read_at) AS read_at, max(read_at, 2)[2] AS other_content_at
  FROM contents WHERE status = 'ok' GROUP BY ALL
),
late AS (
  SELECT * FROM buckets WHERE read_at >= (cost_date + 1)::TIMESTAMPTZ + to_days($settle_days)
),
lasting AS (
  -- Only where a content has ever changed: a small part of a long history.
  SELECT team_id, endpoint, cost_date, min(readings.collected_at) AS begun_at
  FROM readings INNER JOIN late USING (team_id, endpoint, cost_date)
  WHERE readings.status = 'ok' AND readings.collected_at > late.other_content_at
  GROUP BY ALL
),
settled AS (
  SELECT team_id, endpoint, cost_date
  FROM late LEFT JOIN lasting USING (team_id, endpoint, cost_date)
  WHERE late.other_content_at IS NULL
    OR late.read_at >= lasting.begun_at + to_days($settle_days)
),
{DONE_WITHOUT},
days AS (
  SELECT team_id, unnest(generate_series(min(cost_date), $yesterday, INTERVAL 1 DAY))::DATE
    AS cost_date
  FROM contents GROUP BY team_id
),
expected AS (
  SELECT days.*, endpoints.endpoint
  FROM days CROSS JOIN (SELECT unnest($endpoints) AS endpoint) AS endpoints
)
SELECT DISTINCT cost_date
FROM expected
ANTI JOIN settled USING (team_id, endpoint, cost_date)
ANTI JOIN done_without USING (team_id, endpoint, cost_date)
"""
"""Days from a team's first one on of which it has never read, or not settled, an endpoint."""

_UNSETTLED_BY_ORGANIZATION = """
SELECT DISTINCT sightings.cost_date
FROM intermediate.{sightings} AS sightings
INNER JOIN intermediate.int_organizations_resolved AS keys USING (organization_id)
WHERE NOT sightings.is_settled AND sightings.cost_date <= $yesterday
  AND keys.key_fingerprint IN (
    SELECT key_fingerprint FROM raw.collections WHERE team_id IN (SELECT unnest($teams))
  )
"""
"""Days that the newest build left unsettled for an organization of the teams. Teams that share one
may each have settled a day of which they saw different contents."""

_SIGHTINGS = ("int_costs_sightings", "int_usage_sightings")

_BUILT = "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'intermediate'"


def due_days(
    warehouse: Warehouse,
    *,
    endpoints: Sequence[str],
    teams: Sequence[str],
    first_day: date,
    yesterday: date,
    restatement_days: int,
    settle_days: int,
) -> list[tuple[date, date]]:
    """Ranges of UTC days (both inclusive, ascending, not touching) that a daily run reads.

    These are the last ``restatement_days`` closed days, and since a team's first day every day that
    is not settled for it or for its organization, at any endpoint: missing and failed ones are
    not. An endpoint that the organization does without waits for nothing.

    Raises:
        FinopsError: the warehouse is held by somebody else for too long.
    """
    window = {
        day
        for offset in range(restatement_days)
        if (day := yesterday - timedelta(days=offset)) >= first_day
    }
    with warehouse.writing("looking for unsettled days"), warehouse.connect() as connection:
        if ledger_exists(connection):
            scope = {"teams": list(teams), "yesterday": yesterday}
            found = connection.execute(
                _UNSETTLED_BY_TEAM,
                scope | {"endpoints": list(endpoints), "settle_days": settle_days},
            ).fetchall()
            built = {name for (name,) in connection.execute(_BUILT).fetchall()}
            if "int_organizations_resolved" in built:
                for sightings in built.intersection(_SIGHTINGS):
                    query = _UNSETTLED_BY_ORGANIZATION.format(sightings=sightings)
                    found += connection.execute(query, scope).fetchall()
            window |= {day for (day,) in found if day >= first_day}
    return ranges(sorted(window))

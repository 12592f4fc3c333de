"""Which days a daily run reads: the newest closed ones, and every older one not settled."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

from finops_pipeline.ingestion.days import ranges
from finops_pipeline.ingestion.loading import ledger_exists
from finops_pipeline.warehouse.warehouse import Warehouse

_UNSETTLED_BY_TEAM = """
WITH readings AS (
  SELECT * FROM raw.collections
  WHERE endpoint IN (SELECT unnest($endpoints)) AND team_id IN (SELECT unnest($teams))
    AND _dlt_load_id IN (SELECT load_id FROM raw._dlt_loads WHERE status = 0)
),
buckets AS (
  SELECT
    team_id, endpoint, cost_date, max(collected_at) AS read_at,
    coalesce(
      min(content_hash) = max(content_hash) AND min(query_signature) = max(query_signature), false
    ) AS is_constant
  FROM readings WHERE status = 'ok' GROUP BY ALL
),
successful AS (
  -- The rest is needed only where a content has ever changed: a small part of a long history.
  SELECT readings.* FROM readings INNER JOIN buckets USING (team_id, endpoint, cost_date)
  WHERE readings.status = 'ok' AND NOT buckets.is_constant
),
newest AS (
  SELECT * FROM successful
  QUALIFY row_number() OVER (
    PARTITION BY team_id, endpoint, cost_date
    ORDER BY collected_at DESC, _dlt_load_id DESC, collection_id DESC
  ) = 1
),
content AS (
  SELECT
    newest.team_id, newest.endpoint, newest.cost_date, newest.collected_at AS read_at,
    max(successful.collected_at) FILTER (
      WHERE successful.content_hash <> newest.content_hash
        OR successful.query_signature <> newest.query_signature
    ) AS other_content_at
  FROM newest
  INNER JOIN successful USING (team_id, endpoint, cost_date)
  GROUP BY ALL
),
settled AS (
  SELECT team_id, endpoint, cost_date FROM buckets
  WHERE is_constant AND read_at >= (cost_date + 1)::TIMESTAMPTZ + to_days($settle_days)
  UNION ALL
  SELECT content.team_id, content.endpoint, content.cost_date
  FROM content
  INNER JOIN successful
    ON content.team_id = successful.team_id AND content.endpoint = successful.endpoint
    AND content.cost_date = successful.cost_date
    AND successful.collected_at > coalesce(content.other_content_at, '-infinity')
  GROUP BY ALL
  HAVING
    any_value(content.read_at)
    >= (content.cost_date + 1)::TIMESTAMPTZ + to_days($settle_days)
    AND (
      any_value(content.other_content_at) IS NULL
      OR any_value(content.read_at) >= min(successful.collected_at) + to_days($settle_days)
    )
),
answered AS (
  SELECT team_id, endpoint, max(read_at) AS answered_at FROM buckets GROUP BY ALL
),
done_without AS (
  -- Nothing to wait for, until the endpoint answers after all.
  SELECT readings.team_id, readings.endpoint, readings.cost_date
  FROM readings LEFT JOIN answered USING (team_id, endpoint)
  WHERE readings.status = 'unsupported'
    AND readings.collected_at > coalesce(answered.answered_at, '-infinity')
),
days AS (
  SELECT team_id, unnest(generate_series(min(cost_date), $yesterday, INTERVAL 1 DAY))::DATE
    AS cost_date
  FROM readings GROUP BY team_id
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

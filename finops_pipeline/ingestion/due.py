"""Which days a daily run reads: the newest closed ones, and every older one not settled."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

from finops_pipeline.ingestion.days import ranges
from finops_pipeline.ingestion.loading import raw_tables_exist
from finops_pipeline.warehouse.warehouse import Warehouse

_UNSETTLED_BY_TEAM = """
WITH readings AS (
  SELECT * FROM raw.collections
  WHERE endpoint = $endpoint AND team_id IN (SELECT unnest($teams))
    AND _dlt_load_id IN (SELECT load_id FROM raw._dlt_loads WHERE status = 0)
),
buckets AS (
  SELECT
    team_id, cost_date, max(collected_at) AS read_at,
    coalesce(
      min(content_hash) = max(content_hash) AND min(query_signature) = max(query_signature), false
    ) AS is_constant
  FROM readings WHERE status = 'ok' GROUP BY ALL
),
successful AS (
  -- The rest is needed only where a content has ever changed: a small part of a long history.
  SELECT readings.* FROM readings INNER JOIN buckets USING (team_id, cost_date)
  WHERE readings.status = 'ok' AND NOT buckets.is_constant
),
newest AS (
  SELECT * FROM successful
  QUALIFY row_number() OVER (
    PARTITION BY team_id, cost_date
    ORDER BY collected_at DESC, _dlt_load_id DESC, collection_id DESC
  ) = 1
),
content AS (
  SELECT
    newest.team_id, newest.cost_date, newest.collected_at AS read_at,
    max(successful.collected_at) FILTER (
      WHERE successful.content_hash <> newest.content_hash
        OR successful.query_signature <> newest.query_signature
    ) AS other_content_at
  FROM newest
  INNER JOIN successful USING (team_id, cost_date)
  GROUP BY ALL
),
settled AS (
  SELECT team_id, cost_date FROM buckets
  WHERE is_constant AND read_at >= (cost_date + 1)::TIMESTAMPTZ + to_days($settle_days)
  UNION ALL
  SELECT content.team_id, content.cost_date
  FROM content
  INNER JOIN successful
    ON content.team_id = successful.team_id AND content.cost_date = successful.cost_date
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
expected AS (
  SELECT team_id, unnest(generate_series(min(cost_date), $yesterday, INTERVAL 1 DAY))::DATE
    AS cost_date
  FROM readings GROUP BY team_id
)
SELECT DISTINCT cost_date FROM expected ANTI JOIN settled USING (team_id, cost_date)
"""
"""Days from a team's first one on that it has never read, or not settled."""

_UNSETTLED_BY_ORGANIZATION = """
SELECT DISTINCT sightings.cost_date
FROM intermediate.int_costs_sightings AS sightings
INNER JOIN intermediate.int_organizations_resolved AS keys USING (organization_id)
INNER JOIN raw.collections AS readings USING (key_fingerprint)
WHERE NOT sightings.is_settled AND readings.team_id IN (SELECT unnest($teams))
  AND sightings.cost_date <= $yesterday
"""
"""Days that the newest build left unsettled for an organization of the teams. Teams that share one
may each have settled a day of which they saw different contents."""

_SIGHTINGS_EXIST = """
SELECT count(*) = 2 FROM information_schema.tables
WHERE table_schema = 'intermediate'
  AND table_name IN ('int_costs_sightings', 'int_organizations_resolved')
"""


def due_days(
    warehouse: Warehouse,
    *,
    endpoint: str,
    teams: Sequence[str],
    first_day: date,
    yesterday: date,
    restatement_days: int,
    settle_days: int,
) -> list[tuple[date, date]]:
    """Ranges of UTC days (both inclusive, ascending, not touching) that a daily run reads.

    These are the last ``restatement_days`` closed days, and since a team's first day every day that
    is not settled for it or for its organization: missing and failed ones are not.

    Raises:
        FinopsError: the warehouse is held by somebody else for too long.
    """
    window = {
        day
        for offset in range(restatement_days)
        if (day := yesterday - timedelta(days=offset)) >= first_day
    }
    with warehouse.writing("looking for unsettled days"):
        if raw_tables_exist(warehouse):
            with warehouse.connect() as connection:
                scope = {"teams": list(teams), "yesterday": yesterday}
                found = connection.execute(
                    _UNSETTLED_BY_TEAM, scope | {"endpoint": endpoint, "settle_days": settle_days}
                ).fetchall()
                if connection.execute(_SIGHTINGS_EXIST).fetchall() == [(True,)]:
                    found += connection.execute(_UNSETTLED_BY_ORGANIZATION, scope).fetchall()
            window |= {day for (day,) in found if day >= first_day}
    return ranges(sorted(window))

"""Which days a daily run reads: the newest closed ones, and every older one not yet settled."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from itertools import groupby

from finops_pipeline.ingestion.loading import raw_tables_exist
from finops_pipeline.warehouse.warehouse import Warehouse

_UNSETTLED_DAYS = """
WITH complete AS (
  SELECT
    *,
    coalesce(
      max_by(organization_id, collected_at) FILTER (WHERE organization_id IS NOT NULL)
        OVER (PARTITION BY key_fingerprint),
      key_fingerprint
    ) AS organization
  FROM raw.collections
  WHERE endpoint = $endpoint
    AND _dlt_load_id IN (SELECT load_id FROM raw._dlt_loads WHERE status = 0)
),
chosen AS (
  SELECT * FROM complete WHERE team_id IN (SELECT unnest($teams))
),
-- A day is settled for a team and, as the marts count it, for an organization whoever read it.
readings AS (
  SELECT 'team ' || team_id AS whose, * FROM chosen
  UNION ALL
  SELECT 'organization ' || organization AS whose, * FROM complete
  WHERE organization IN (SELECT organization FROM chosen)
),
successful AS (
  SELECT * FROM readings WHERE status = 'ok'
),
newest AS (
  SELECT * FROM successful
  QUALIFY row_number() OVER (
    PARTITION BY whose, cost_date
    ORDER BY collected_at DESC, _dlt_load_id DESC, collection_id DESC
  ) = 1
),
content AS (
  SELECT
    newest.whose, newest.cost_date, newest.collected_at AS read_at,
    max(successful.collected_at) FILTER (
      WHERE successful.content_hash <> newest.content_hash
        OR successful.query_signature <> newest.query_signature
    ) AS other_content_at
  FROM newest
  INNER JOIN successful USING (whose, cost_date)
  GROUP BY ALL
),
settled AS (
  SELECT content.whose, content.cost_date
  FROM content
  INNER JOIN successful
    ON content.whose = successful.whose AND content.cost_date = successful.cost_date
    AND successful.collected_at > coalesce(content.other_content_at, '-infinity')
  GROUP BY ALL
  HAVING
    any_value(content.read_at)
    >= (content.cost_date + 1)::TIMESTAMPTZ + to_days($settle_days)
    AND (
      any_value(content.other_content_at) IS NULL
      OR any_value(content.read_at) >= min(successful.collected_at) + to_days($settle_days)
    )
)
SELECT DISTINCT cost_date FROM readings ANTI JOIN settled USING (whose, cost_date)
WHERE cost_date <= $yesterday ORDER BY cost_date
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

    These are the last ``restatement_days`` closed days and every older day that some team has
    asked for and that is not settled, for it or for its organization; failed ones included.

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
                found = connection.execute(
                    _UNSETTLED_DAYS,
                    {
                        "endpoint": endpoint,
                        "teams": list(teams),
                        "settle_days": settle_days,
                        "yesterday": yesterday,
                    },
                ).fetchall()
            window |= {day for (day,) in found if day >= first_day}
    return _ranges(sorted(window))


def _ranges(days: Sequence[date]) -> list[tuple[date, date]]:
    ranges = []
    for _, run in groupby(enumerate(days), key=lambda pair: pair[1].toordinal() - pair[0]):
        members = [day for _, day in run]
        ranges.append((members[0], members[-1]))
    return ranges

"""Which days a daily run reads: the newest closed ones, and every older one not yet settled."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from itertools import groupby

from finops_pipeline.ingestion.loading import raw_tables_exist
from finops_pipeline.warehouse.warehouse import Warehouse

_UNSETTLED_DAYS = """
WITH complete AS (
  SELECT * FROM raw.collections
  WHERE endpoint = $endpoint AND team_id IN (SELECT unnest($teams))
    AND _dlt_load_id IN (SELECT load_id FROM raw._dlt_loads WHERE status = 0)
),
newest AS (
  SELECT * FROM complete WHERE status = 'ok'
  QUALIFY row_number() OVER (PARTITION BY team_id, cost_date ORDER BY collected_at DESC) = 1
),
content AS (
  SELECT
    newest.team_id, newest.cost_date, newest.collected_at AS read_at,
    max(complete.collected_at) FILTER (WHERE complete.revision_id <> newest.revision_id)
      AS other_content_at,
    min(complete.collected_at) FILTER (WHERE complete.revision_id = newest.revision_id)
      AS content_since
  FROM newest
  INNER JOIN complete USING (team_id, cost_date)
  WHERE complete.status = 'ok'
  GROUP BY ALL
),
settled AS (
  SELECT team_id, cost_date FROM content
  WHERE read_at >= (cost_date + 1)::TIMESTAMPTZ + to_days($settle_days)
    AND (other_content_at IS NULL OR read_at >= content_since + to_days($settle_days))
)
SELECT DISTINCT cost_date FROM complete ANTI JOIN settled USING (team_id, cost_date)
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
    asked for and that is not settled, failed ones included.

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

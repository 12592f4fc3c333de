"""Rows of loads that never completed: nothing reads them, but they take room."""

from __future__ import annotations

from datetime import datetime

from finops_pipeline.ingestion.loading import ledger_exists, raw_tables
from finops_pipeline.ingestion.tables import RAW_TABLES
from finops_pipeline.warehouse.warehouse import RAW_SCHEMA, Warehouse

# dlt names a load after the moment at which it began, in seconds since 1970.
_INCOMPLETE = """
_dlt_load_id NOT IN (SELECT load_id FROM raw._dlt_loads WHERE status = 0)
AND coalesce(try_cast(_dlt_load_id AS DOUBLE), 0) < epoch($before::TIMESTAMPTZ)
"""


def delete_incomplete_loads(
    warehouse: Warehouse, *, before: datetime, dry_run: bool = False
) -> dict[str, int]:
    """Delete rows of loads that began before ``before`` (UTC) and never completed.

    Returns:
        Deleted rows per raw table; with ``dry_run``, those that would be.

    Raises:
        FinopsError: the warehouse is held by somebody else for too long.
    """
    with warehouse.writing("deleting incomplete loads"):
        found = dict.fromkeys(RAW_TABLES, 0)
        with warehouse.connect() as connection:
            if not ledger_exists(connection):
                return found
            connection.begin()
            for table in RAW_TABLES.keys() & raw_tables(connection):
                rows = f"FROM {RAW_SCHEMA}.{table} WHERE {_INCOMPLETE}"
                ((found[table],),) = connection.execute(
                    f"SELECT count(*) {rows}", {"before": before}
                ).fetchall()
                if found[table] and not dry_run:
                    connection.execute(f"DELETE {rows}", {"before": before})
            connection.commit()
    return found

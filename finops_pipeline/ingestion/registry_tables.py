"""The registry and the build's settings as raw tables, landed anew by each build."""

from __future__ import annotations

from datetime import datetime

import pyarrow as pa

from finops_pipeline.ingestion.tables import MONEY, TIMESTAMP
from finops_pipeline.registry import RegistrySnapshot
from finops_pipeline.settings import Settings
from finops_pipeline.warehouse.warehouse import Warehouse

CONTRACT_VERSION = "1.0"
"""Version of the published tables: the major part rises when a reader must change something."""

_BUILD_SETTINGS = pa.schema(
    [
        ("run_id", pa.string()),
        ("built_at", TIMESTAMP),
        ("contract_version", pa.string()),
        ("cost_source", pa.string()),
        ("settle_days", pa.int32()),
        ("tolerance", pa.decimal128(9, 6)),
        ("tolerance_floor", MONEY),
        ("request_tolerance", pa.decimal128(9, 6)),
    ]
)


def land_registry(
    warehouse: Warehouse,
    snapshot: RegistrySnapshot,
    settings: Settings,
    *,
    run_id: str,
    built_at: datetime,
) -> dict[str, int]:
    """Replace the registry's tables in one transaction. Only inside ``warehouse.writing``.

    Settings travel as data, because a changed dbt variable would make dbt parse its whole
    project again.

    Args:
        built_at: The build's clock (UTC): its date is "today" for every model.

    Returns:
        Rows per table.
    """
    build_settings = pa.Table.from_pylist(
        [
            {
                "run_id": run_id,
                "built_at": built_at,
                "contract_version": CONTRACT_VERSION,
                "cost_source": settings.cost_source.value,
                "settle_days": settings.settle_days,
                "tolerance": settings.tolerance,
                "tolerance_floor": settings.tolerance_floor,
                "request_tolerance": settings.request_tolerance,
            }
        ],
        schema=_BUILD_SETTINGS,
    )
    tables = {
        "teams": snapshot.teams,
        "team_attributes": snapshot.team_attributes,
        "projects": snapshot.projects,
        "project_attributes": snapshot.project_attributes,
        "project_ownership": snapshot.project_ownership,
        "keys": snapshot.keys,
        "build_settings": build_settings,
    }
    warehouse.replace_raw_tables(tables)
    return {name: table.num_rows for name, table in tables.items()}

"""The registry as Arrow tables, for the pipeline's builds: everything but key material."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from finops_pipeline.registry.models import KeyRow, OwnershipRow, ProjectRow, TeamRow
from finops_pipeline.registry.records import RegistrySnapshot

if TYPE_CHECKING:
    import pyarrow as pa

# Columns are named one by one, so that no ciphertext is even read.
_TEAMS = select(
    TeamRow.team_id,
    TeamRow.team_name,
    TeamRow.parent_team_id,
    TeamRow.owner_email,
    TeamRow.budget_owner_email,
    TeamRow.cost_center,
    TeamRow.is_active,
    TeamRow.created_at,
    TeamRow.deactivated_at,
).order_by(TeamRow.team_id)
_PROJECTS = select(
    ProjectRow.project_id,
    ProjectRow.project_name,
    ProjectRow.openai_project_id,
    ProjectRow.environment,
    ProjectRow.owner_email,
    ProjectRow.cost_center,
    ProjectRow.tags,
    ProjectRow.is_active,
    ProjectRow.created_at,
).order_by(ProjectRow.project_id)
_OWNERSHIP = (
    select(
        OwnershipRow.project_id,
        OwnershipRow.team_id,
        ProjectRow.openai_project_id,
        OwnershipRow.valid_from,
        OwnershipRow.valid_to,
    )
    .join(ProjectRow, ProjectRow.project_id == OwnershipRow.project_id)
    .order_by(OwnershipRow.project_id, OwnershipRow.ownership_id)
)
_KEYS = select(
    KeyRow.key_id,
    KeyRow.team_id,
    KeyRow.key_type,
    KeyRow.project_id,
    KeyRow.fingerprint,
    KeyRow.organization_id,
    KeyRow.is_active,
    KeyRow.created_at,
    KeyRow.deactivated_at,
).order_by(KeyRow.created_at, KeyRow.key_id)


def take_snapshot(session: Session) -> RegistrySnapshot:
    """All four tables as one transaction sees them.

    Times are ``timestamp[us, UTC]``, days ``date32``; a project's tags are a JSON object as text.
    """
    import pyarrow as pa

    # Types come from the column's name, so that an empty table has them too.
    types = {
        "is_active": pa.bool_(),
        "created_at": pa.timestamp("us", tz="UTC"),
        "deactivated_at": pa.timestamp("us", tz="UTC"),
        "valid_from": pa.date32(),
        "valid_to": pa.date32(),
    }

    def table(query: Select[*tuple[Any, ...]]) -> pa.Table:
        names = query.selected_columns.keys()
        schema = pa.schema([(name, types.get(name, pa.string())) for name in names])
        rows = session.execute(query).mappings()
        return pa.Table.from_pylist([_landed(dict(row)) for row in rows], schema=schema)

    return RegistrySnapshot(
        teams=table(_TEAMS),
        projects=table(_PROJECTS),
        project_ownership=table(_OWNERSHIP),
        keys=table(_KEYS),
    )


def _landed(row: dict[str, Any]) -> dict[str, Any]:
    if "tags" in row:
        row["tags"] = json.dumps(row["tags"], sort_keys=True, ensure_ascii=False)
    return row

"""The registry as Arrow tables, for the pipeline's builds: everything but key material."""

from __future__ import annotations

import json
from datetime import date
from typing import TYPE_CHECKING, Any

from sqlalchemy import BindParameter, ColumnElement, Date, Select, bindparam, select
from sqlalchemy.orm import Session

from finops_pipeline.registry.models import (
    KeyRow,
    OwnershipRow,
    ProjectAttributesRow,
    ProjectRow,
    TeamAttributesRow,
    TeamRow,
)
from finops_pipeline.registry.periods import today
from finops_pipeline.registry.records import RegistrySnapshot

if TYPE_CHECKING:
    import pyarrow as pa

_TODAY: BindParameter[date] = bindparam("today", type_=Date)


def _holds(table: type[TeamAttributesRow | ProjectAttributesRow]) -> ColumnElement[bool]:
    began = table.valid_from.is_(None) | (table.valid_from <= _TODAY)
    return began & (table.valid_to.is_(None) | (table.valid_to > _TODAY))


# Columns are named one by one, so that no ciphertext is even read.
_TEAM_ATTRIBUTES = (
    TeamAttributesRow.team_id,
    TeamAttributesRow.team_name,
    TeamAttributesRow.parent_team_id,
    TeamAttributesRow.owner_email,
    TeamAttributesRow.budget_owner_email,
    TeamAttributesRow.cost_center,
)
_PROJECT_ATTRIBUTES = (
    ProjectAttributesRow.environment,
    ProjectAttributesRow.owner_email,
    ProjectAttributesRow.cost_center,
    ProjectAttributesRow.tags,
)
_TEAMS = (
    select(*_TEAM_ATTRIBUTES, TeamRow.is_active, TeamRow.created_at, TeamRow.deactivated_at)
    .join(TeamRow, TeamRow.team_id == TeamAttributesRow.team_id)
    .where(_holds(TeamAttributesRow))
    .order_by(TeamAttributesRow.team_id)
)
_TEAM_HISTORY = select(
    *_TEAM_ATTRIBUTES, TeamAttributesRow.valid_from, TeamAttributesRow.valid_to
).order_by(TeamAttributesRow.team_id, TeamAttributesRow.period_id)
_PROJECTS = (
    select(
        ProjectAttributesRow.project_id,
        ProjectAttributesRow.project_name,
        ProjectRow.openai_project_id,
        *_PROJECT_ATTRIBUTES,
        ProjectRow.is_active,
        ProjectRow.created_at,
    )
    .join(ProjectRow, ProjectRow.project_id == ProjectAttributesRow.project_id)
    .where(_holds(ProjectAttributesRow))
    .order_by(ProjectAttributesRow.project_id)
)
_PROJECT_HISTORY = select(
    ProjectAttributesRow.project_id,
    ProjectAttributesRow.project_name,
    *_PROJECT_ATTRIBUTES,
    ProjectAttributesRow.valid_from,
    ProjectAttributesRow.valid_to,
).order_by(ProjectAttributesRow.project_id, ProjectAttributesRow.period_id)
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
    """All tables as one transaction sees them; teams and projects as they are today (UTC), what
    was and will be known of them in the tables of attributes.

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
        rows = session.execute(query, {"today": today()}).mappings()
        return pa.Table.from_pylist([_landed(dict(row)) for row in rows], schema=schema)

    return RegistrySnapshot(
        teams=table(_TEAMS),
        team_attributes=table(_TEAM_HISTORY),
        projects=table(_PROJECTS),
        project_attributes=table(_PROJECT_HISTORY),
        project_ownership=table(_OWNERSHIP),
        keys=table(_KEYS),
    )


def _landed(row: dict[str, Any]) -> dict[str, Any]:
    if "tags" in row:
        row["tags"] = json.dumps(row["tags"], sort_keys=True, ensure_ascii=False)
    return row

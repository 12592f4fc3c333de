"""Timelines in the database: read from, and written back to, the tables of periods."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from finops_pipeline.registry.models import OwnershipRow, ProjectAttributesRow, TeamAttributesRow
from finops_pipeline.registry.records import ProjectAttributes, TeamAttributes
from finops_pipeline.registry.timeline import Period, Timeline


def today() -> date:
    """The UTC day."""
    return datetime.now(UTC).date()


def team_timelines(
    session: Session, team_id: str | None = None
) -> dict[str, list[Period[TeamAttributes]]]:
    """The attributes of one team or of all, by team."""
    names = [field.name for field in fields(TeamAttributes)]
    found: dict[str, list[Period[TeamAttributes]]] = {}
    for row in _rows(session, TeamAttributesRow, "team_id", team_id):
        value = TeamAttributes(**{name: getattr(row, name) for name in names})
        found.setdefault(row.team_id, []).append(Period(row.valid_from, row.valid_to, value))
    return found


def project_timelines(
    session: Session, project_id: str | None = None
) -> dict[str, list[Period[ProjectAttributes]]]:
    """The attributes of one project or of all, by project."""
    names = [field.name for field in fields(ProjectAttributes)]
    found: dict[str, list[Period[ProjectAttributes]]] = {}
    for row in _rows(session, ProjectAttributesRow, "project_id", project_id):
        value = ProjectAttributes(**{name: getattr(row, name) for name in names})
        found.setdefault(row.project_id, []).append(Period(row.valid_from, row.valid_to, value))
    return found


def owners(session: Session, project_id: str | None = None) -> dict[str, list[Period[str]]]:
    """The owning teams' ids of one project or of all, by project."""
    found: dict[str, list[Period[str]]] = {}
    for row in _rows(session, OwnershipRow, "project_id", project_id):
        period = Period(row.valid_from, row.valid_to, row.team_id)
        found.setdefault(row.project_id, []).append(period)
    return found


def add_team(session: Session, team_id: str, timeline: Timeline[TeamAttributes]) -> None:
    """Store the timeline of a team that has none."""
    session.add_all(
        TeamAttributesRow(team_id=team_id, **_bounds(period), **asdict(period.value))
        for period in timeline
    )


def save_team(session: Session, team_id: str, timeline: Timeline[TeamAttributes]) -> None:
    """Put ``timeline`` in the place of the stored one."""
    session.execute(delete(TeamAttributesRow).where(TeamAttributesRow.team_id == team_id))
    add_team(session, team_id, timeline)


def add_project(session: Session, project_id: str, timeline: Timeline[ProjectAttributes]) -> None:
    """Store the timeline of a project that has none."""
    session.add_all(
        ProjectAttributesRow(project_id=project_id, **_bounds(period), **asdict(period.value))
        for period in timeline
    )


def save_project(session: Session, project_id: str, timeline: Timeline[ProjectAttributes]) -> None:
    """Put ``timeline`` in the place of the stored one."""
    session.execute(
        delete(ProjectAttributesRow).where(ProjectAttributesRow.project_id == project_id)
    )
    add_project(session, project_id, timeline)


def add_owners(session: Session, project_id: str, timeline: Timeline[str]) -> None:
    """Store the owners of a project that has none."""
    session.add_all(
        OwnershipRow(project_id=project_id, team_id=period.value, **_bounds(period))
        for period in timeline
    )


def save_owners(session: Session, project_id: str, timeline: Timeline[str]) -> None:
    """Put ``timeline`` in the place of the stored one."""
    session.execute(delete(OwnershipRow).where(OwnershipRow.project_id == project_id))
    add_owners(session, project_id, timeline)


def _rows(session: Session, table: type[Any], subject: str, name: str | None) -> Sequence[Any]:
    query = select(table).order_by(
        getattr(table, subject), table.valid_from.is_not(None), table.valid_from
    )
    if name is not None:
        query = query.where(getattr(table, subject) == name)
    return session.scalars(query).all()


def _bounds(period: Period[Any]) -> dict[str, date | None]:
    return {"valid_from": period.valid_from, "valid_to": period.valid_to}

"""Teams: who spends, and who answers for it."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from finops_pipeline.errors import UsageError
from finops_pipeline.registry import rules
from finops_pipeline.registry.database import Database
from finops_pipeline.registry.models import TeamRow
from finops_pipeline.registry.records import Team


class Teams:
    """The registry's part about teams."""

    _database: Database

    def add_team(
        self,
        team_id: str,
        *,
        team_name: str | None = None,
        parent_team_id: str | None = None,
        owner_email: str | None = None,
        budget_owner_email: str | None = None,
        cost_center: str | None = None,
    ) -> Team:
        """Register a team; its name defaults to its id.

        Raises:
            UsageError: the id is not usable or taken, the parent is unknown, an address is none.
        """
        now = datetime.now(UTC)
        team = TeamRow(
            team_id=rules.check_slug(team_id, "team"),
            team_name=rules.attribute(team_name, "team's name") or team_id,
            owner_email=rules.email(owner_email, "owner's address"),
            budget_owner_email=rules.email(budget_owner_email, "budget owner's address"),
            cost_center=rules.attribute(cost_center, "cost centre"),
            is_active=True,
            created_at=now,
            updated_at=now,
        )
        with self._database.writing() as session:
            existing = session.get(TeamRow, team_id)
            if existing is not None:
                raise UsageError(
                    f"Team {team_id!r} is already registered ({existing.team_name!r}, since "
                    f"{existing.created_at.date()}).",
                    f"Change it with `finops team set {team_id}`.",
                )
            team.parent_team_id = _checked_parent(session, team_id, parent_team_id)
            session.add(team)
            session.flush()
            return _record(team)

    def set_team(
        self,
        team_id: str,
        *,
        team_name: str | None = None,
        parent_team_id: str | None = None,
        owner_email: str | None = None,
        budget_owner_email: str | None = None,
        cost_center: str | None = None,
    ) -> Team:
        """Change a team's attributes: None leaves one as it is, empty text clears it.

        Raises:
            UsageError: unknown team, unknown parent, a circle of parents, an address that is none.
        """
        with self._database.writing() as session:
            team = team_row(session, team_id)
            if team_name is not None:
                team.team_name = rules.attribute(team_name, "team's name") or team_id
            if parent_team_id is not None:
                team.parent_team_id = _checked_parent(session, team_id, parent_team_id)
            if owner_email is not None:
                team.owner_email = rules.email(owner_email, "owner's address")
            if budget_owner_email is not None:
                team.budget_owner_email = rules.email(budget_owner_email, "budget owner's address")
            if cost_center is not None:
                team.cost_center = rules.attribute(cost_center, "cost centre")
            if session.is_modified(team):
                team.updated_at = datetime.now(UTC)
            session.flush()
            return _record(team)

    def deactivate_team(self, team_id: str) -> Team:
        """End a team: it is no longer collected. Its history, projects and key stay.

        Raises:
            UsageError: unknown, or deactivated already.
        """
        with self._database.writing() as session:
            team = active_team_row(session, team_id)
            team.is_active = False
            team.deactivated_at = team.updated_at = datetime.now(UTC)
            session.flush()
            return _record(team)

    def list_teams(self) -> list[Team]:
        """Every team, inactive ones too, by id."""
        with self._database.reading() as session:
            return [_record(team) for team in session.scalars(select(TeamRow).order_by("team_id"))]


def team_row(session: Session, team_id: str) -> TeamRow:
    """A registered team.

    Raises:
        UsageError: unknown; names the near matches.
    """
    team = session.get(TeamRow, team_id)
    if team is None:
        raise rules.unknown("team", team_id, session.scalars(select(TeamRow.team_id)))
    return team


def active_team_row(session: Session, team_id: str) -> TeamRow:
    """A registered team that is still active.

    Raises:
        UsageError: unknown or deactivated.
    """
    team = team_row(session, team_id)
    if team.deactivated_at is not None:
        raise UsageError(
            f"Team {team_id!r} was deactivated on {team.deactivated_at.date()}.",
            "`finops team list` shows which teams are active.",
        )
    return team


def _checked_parent(session: Session, team_id: str, parent_team_id: str | None) -> str | None:
    if not parent_team_id:
        return None
    line = [team_id]
    ancestor: str | None = parent_team_id
    while ancestor is not None:
        if ancestor in line:
            raise UsageError(
                f"Team {team_id!r} would be its own ancestor: {' → '.join([*line, ancestor])}.",
                "Choose another parent team.",
            )
        line.append(ancestor)
        ancestor = team_row(session, ancestor).parent_team_id
    return parent_team_id


def _record(team: TeamRow) -> Team:
    return Team(**{field.name: getattr(team, field.name) for field in fields(Team)})

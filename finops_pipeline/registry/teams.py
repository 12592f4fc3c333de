"""Teams: who spends, and who answers for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields, replace
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from finops_pipeline.errors import UsageError
from finops_pipeline.registry import periods, rules
from finops_pipeline.registry.audit import Attempt, Audited, Subject
from finops_pipeline.registry.models import TeamRow
from finops_pipeline.registry.periods import save_team, team_timelines, today
from finops_pipeline.registry.records import Team, TeamAttributes
from finops_pipeline.registry.timeline import Period, Timeline, changed, current

Attributes = Mapping[str, Any]
"""Attributes by their names, as :func:`rules.cleaned` leaves them."""


class Teams(Audited):
    """The registry's part about teams."""

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
        with self._attempt("team.add", Subject(team_id)) as attempt, attempt.writing() as session:
            rules.check_slug(team_id, "team")
            existing = session.get(TeamRow, team_id)
            if existing is not None:
                name = current(team_timelines(session, team_id)[team_id], today()).value.team_name
                raise UsageError(
                    f"Team {team_id!r} is already registered ({name!r}, since "
                    f"{existing.created_at.date()}).",
                    f"Change it with `finops team set {team_id}`.",
                )
            given = rules.cleaned(
                {
                    "team_name": team_name,
                    "parent_team_id": parent_team_id,
                    "owner_email": owner_email,
                    "budget_owner_email": budget_owner_email,
                    "cost_center": cost_center,
                }
            )
            insert_teams(session, [team_id])
            describe_team(session, attempt, team_id, given)
            return team_record(session, team_id)

    def set_team(
        self,
        team_id: str,
        *,
        team_name: str | None = None,
        parent_team_id: str | None = None,
        owner_email: str | None = None,
        budget_owner_email: str | None = None,
        cost_center: str | None = None,
        effective: date | None = None,
    ) -> Team:
        """Change a team's attributes: None leaves one as it is, empty text clears it.

        The change holds from ``effective`` on (a UTC day; None: today) and until a later change
        that is already dated; what was so before stays so.

        Raises:
            UsageError: unknown team, unknown parent, a circle of parents, an address that is none.
        """
        with self._attempt("team.set", Subject(team_id)) as attempt, attempt.writing() as session:
            team_row(session, team_id)
            changes = {
                "team_name": team_name,
                "parent_team_id": parent_team_id,
                "owner_email": owner_email,
                "budget_owner_email": budget_owner_email,
                "cost_center": cost_center,
            }
            given = rules.cleaned({k: v for k, v in changes.items() if v is not None})
            change_team(session, attempt, team_id, given, effective or today())
            check_ancestors(session, [team_id])
            return team_record(session, team_id)

    def deactivate_team(self, team_id: str) -> Team:
        """End a team: it is no longer collected. Its history, projects and key stay.

        Raises:
            UsageError: unknown, or deactivated already.
        """
        subject = Subject(team_id)
        with self._attempt("team.deactivate", subject) as attempt, attempt.writing() as session:
            end_team(session, attempt, team_id)
            return team_record(session, team_id)

    def list_teams(self) -> list[Team]:
        """Every team, inactive ones too, by id."""
        with self._database.reading() as session:
            timelines = team_timelines(session)
            rows = session.scalars(select(TeamRow).order_by(TeamRow.team_id))
            return [_record(row, timelines[row.team_id]) for row in rows]


def insert_teams(session: Session, team_ids: Iterable[str]) -> None:
    """Make teams known, so that each may be another's parent; describe each one next."""
    now = datetime.now(UTC)
    session.add_all(
        TeamRow(team_id=team_id, is_active=True, created_at=now, updated_at=now)
        for team_id in team_ids
    )
    session.flush()


def describe_team(session: Session, attempt: Attempt, team_id: str, given: Attributes) -> None:
    """Write a new team's attributes, which hold since ever; its name defaults to its id.

    Raises:
        UsageError: the parent is unknown, or the team itself.
    """
    _check_parent(session, team_id, given)
    attributes = TeamAttributes(
        team_name=given.get("team_name") or team_id,
        parent_team_id=given.get("parent_team_id"),
        owner_email=given.get("owner_email"),
        budget_owner_email=given.get("budget_owner_email"),
        cost_center=given.get("cost_center"),
    )
    periods.add_team(session, team_id, [Period(None, None, attributes)])
    attempt.record(session, after=asdict(attributes))


def change_team(
    session: Session, attempt: Attempt, team_id: str, given: Attributes, effective: date
) -> None:
    """Write the given attributes from ``effective`` on; nothing where they are so already.

    See to :func:`check_ancestors` afterwards.

    Raises:
        UsageError: the parent is unknown, or the team itself.
    """
    _check_parent(session, team_id, given)
    if "team_name" in given:
        given = {**given, "team_name": given["team_name"] or team_id}
    before = team_timelines(session, team_id)[team_id]
    after = changed(before, effective, lambda value: replace(value, **given))
    if after == before:
        return
    save_team(session, team_id, after)
    team_row(session, team_id).updated_at = datetime.now(UTC)
    former = asdict(current(before, effective).value)
    attempt.record(
        session,
        before={name: former[name] for name in given},
        after={**given, "effective": effective},
    )


def end_team(session: Session, attempt: Attempt, team_id: str) -> None:
    """Write that a team is no longer active.

    Raises:
        UsageError: unknown, or deactivated already.
    """
    team = active_team_row(session, team_id)
    team.is_active = False
    team.deactivated_at = team.updated_at = datetime.now(UTC)
    session.flush()
    attempt.record(session, before={"is_active": True}, after={"is_active": False})


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


def check_ancestors(session: Session, team_ids: Iterable[str]) -> None:
    """See that no team is its own ancestor, on whatever day.

    Raises:
        UsageError: one is; names the circle.
    """
    timelines = team_timelines(session)
    starts = {period.valid_from for timeline in timelines.values() for period in timeline}
    for day in sorted(start or date.min for start in starts):
        for team_id in team_ids:
            line = [team_id]
            while ancestor := current(timelines[line[-1]], day).value.parent_team_id:
                if ancestor in line:
                    raise _circle([*line, ancestor], day)
                line.append(ancestor)


def _check_parent(session: Session, team_id: str, given: Attributes) -> None:
    parent = given.get("parent_team_id")
    if parent == team_id:
        raise _circle([team_id, team_id], date.min)
    if parent is not None:
        team_row(session, parent)


def _circle(line: list[str], day: date) -> UsageError:
    when = "" if day <= today() else f" from {day} on"
    return UsageError(
        f"Team {line[-1]!r} would be its own ancestor{when}: {' → '.join(line)}.",
        "Choose another parent team.",
    )


def team_record(session: Session, team_id: str) -> Team:
    """A registered team as it is today."""
    return _record(team_row(session, team_id), team_timelines(session, team_id)[team_id])


def _record(row: TeamRow, timeline: Timeline[TeamAttributes]) -> Team:
    known = asdict(current(timeline, today()).value)
    own = {field.name for field in fields(Team)} - known.keys()
    return Team(**known, **{name: getattr(row, name) for name in own})

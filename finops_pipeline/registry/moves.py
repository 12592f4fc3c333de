"""Moves: a project's next owner from a day on, while the past keeps its own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime

from sqlalchemy.orm import Session

from finops_pipeline.errors import UsageError
from finops_pipeline.registry.audit import Attempt, Audited, Subject
from finops_pipeline.registry.periods import owners, save_owners
from finops_pipeline.registry.projects import project_row
from finops_pipeline.registry.teams import active_team_row
from finops_pipeline.registry.timeline import changed, current


@dataclass(frozen=True)
class Move:
    """What a move changes: the owner from ``effective`` until before ``until`` (None: for good)."""

    project_id: str
    openai_project_id: str
    from_team_id: str
    to_team_id: str
    effective: date
    until: date | None


class Moves(Audited):
    """The registry's part about projects that change their owner."""

    def move_project(self, project_id: str, *, team_id: str, effective: date) -> Move:
        """Give a project to another team from a day on; the days before keep their owner.

        The move holds until the next one that is already dated.

        Args:
            project_id: The project.
            team_id: Its new owner.
            effective: First UTC day of the new owner.

        Raises:
            UsageError: unknown project, unknown or deactivated team, the team owns it then
                already, or the project has no owner yet on that day.
        """
        subject = Subject(team_id, project_id)
        with self._attempt("project.move", subject) as attempt, attempt.writing() as session:
            move = planned_move(session, project_id, team_id, effective)
            write_move(session, attempt, move)
            return move

    def plan_move(self, project_id: str, *, team_id: str, effective: date) -> Move:
        """What :meth:`move_project` would change, without changing it.

        Raises:
            UsageError: as :meth:`move_project`.
        """
        with self._database.reading() as session:
            return planned_move(session, project_id, team_id, effective)


def planned_move(session: Session, project_id: str, team_id: str, effective: date) -> Move:
    """See :meth:`Moves.plan_move`."""
    row = project_row(session, project_id)
    active_team_row(session, team_id)
    timeline = owners(session, project_id)[project_id]
    first_day = timeline[0].valid_from
    if first_day is not None and effective < first_day:
        raise UsageError(
            f"Project {project_id!r} cannot move on {effective}: it is owned by nobody before "
            f"{first_day}.",
            f"Choose {first_day} or a later day.",
        )
    period = current(timeline, effective)
    if period.value == team_id:
        raise UsageError(
            f"Team {team_id!r} owns project {project_id!r} on {effective} already.",
            "`finops registry export` shows who owned what when.",
        )
    return Move(
        project_id=project_id,
        openai_project_id=row.openai_project_id,
        from_team_id=period.value,
        to_team_id=team_id,
        effective=effective,
        until=period.valid_to,
    )


def write_move(session: Session, attempt: Attempt, move: Move) -> None:
    """Write a move as :func:`planned_move` gave it in this transaction."""
    timeline = owners(session, move.project_id)[move.project_id]
    moved = changed(timeline, move.effective, lambda _: move.to_team_id)
    save_owners(session, move.project_id, moved)
    project_row(session, move.project_id).updated_at = datetime.now(UTC)
    attempt.record(
        session,
        before={"team_id": move.from_team_id},
        after={"team_id": move.to_team_id, "effective": move.effective, "until": move.until},
    )

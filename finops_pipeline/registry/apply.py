"""A reviewed file put into the registry, all or nothing; and the registry as such a file."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from finops_pipeline.errors import FinopsError, UsageError
from finops_pipeline.registry.audit import Attempt, Audited, Change, Subject
from finops_pipeline.registry.models import ProjectRow, TeamRow
from finops_pipeline.registry.moves import planned_move, write_move
from finops_pipeline.registry.periods import owners, project_timelines, team_timelines, today
from finops_pipeline.registry.projects import (
    change_project,
    describe_project,
    insert_projects,
    taken,
)
from finops_pipeline.registry.teams import (
    change_team,
    check_ancestors,
    describe_team,
    end_team,
    insert_teams,
)
from finops_pipeline.registry.timeline import Period, Timeline, current

if TYPE_CHECKING:
    from finops_pipeline.registry.document import Document, ProjectEntry, TeamEntry

ACTION = "registry.apply"


class Documents(Audited):
    """The registry's part about reviewed files."""

    def plan_document(self, document: Document) -> list[Change]:
        """What :meth:`apply_document` would change, found out by doing it and taking it back.

        Raises:
            UsageError: as :meth:`apply_document`.
        """
        attempt = Attempt(self._database, self._actor, ACTION, Subject())
        with attempt.writing() as session:
            _write(session, attempt, document, validated=())
            session.flush()
            session.rollback()
        return attempt.changes

    def apply_document(
        self, document: Document, *, check: Callable[[list[Change]], Collection[str]]
    ) -> list[Change]:
        """Put everything that the document says into the registry, in one transaction.

        Nothing is taken away that it does not mention. Attributes of registered teams and projects
        change from today (UTC) on, and those of new ones hold since ever, unless the document dates
        a change.

        Args:
            document: What to apply.
            check: Called with the plan before anything is changed, outside of any transaction;
                raises where it must not be done, and gives the new projects that the keys of their
                teams were seen to see. Not called where there is nothing to change.

        Returns:
            The changes, each with an audit entry of its own; empty where all is so already.

        Raises:
            UsageError: a team or an owner is unknown or deactivated, an id is taken, the document
                disagrees with the past.
            FinopsError: the registry was changed since the plan was made, or as ``check`` raises.
        """
        with self._attempt(ACTION, Subject()) as attempt:
            plan = self.plan_document(document)
            if not plan:
                return []
            validated = check(plan)
            with attempt.writing() as session:
                _write(session, attempt, document, validated)
                if list(map(_outline, attempt.changes)) != list(map(_outline, plan)):
                    raise FinopsError(
                        "The registry was changed by somebody else since the plan was made; "
                        "nothing was changed here.",
                        "Run the command again and look at the new plan.",
                    )
            return attempt.changes

    def export_document(self) -> Document:
        """The registry as a document: everything but keys and the times of registration."""
        from finops_pipeline.registry.document import Document

        with self._database.reading() as session:
            teams, projects = team_timelines(session), project_timelines(session)
            owned = owners(session)
            return Document.model_validate(
                {
                    "teams": [
                        {"team_id": row.team_id}
                        | _history(teams[row.team_id])
                        | ({} if row.is_active else {"is_active": False})
                        for row in session.scalars(select(TeamRow).order_by(TeamRow.team_id))
                    ],
                    "projects": [
                        {
                            "project_id": row.project_id,
                            "openai_project_id": row.openai_project_id,
                        }
                        | _history(projects[row.project_id])
                        | {"owners": [_owner(period) for period in owned[row.project_id]]}
                        for row in session.scalars(
                            select(ProjectRow).order_by(ProjectRow.project_id)
                        )
                    ],
                }
            )


def _write(
    session: Session, attempt: Attempt, document: Document, validated: Collection[str]
) -> None:
    known = set(session.scalars(select(TeamRow.team_id)))
    insert_teams(session, [team.team_id for team in document.teams if team.team_id not in known])
    for team in document.teams:
        with _named(f"Team {team.team_id!r}"):
            _write_team(session, attempt, team, is_new=team.team_id not in known)
    check_ancestors(session, [team.team_id for team in document.teams])
    # Rows in hand are not read again for each project.
    teams = session.scalars(select(TeamRow)).all()
    registered = {row.project_id: row for row in session.scalars(select(ProjectRow))}
    new = _insert_projects(session, document, registered)
    for project in document.projects:
        with _named(f"Project {project.project_id!r}"):
            if row := new.get(project.project_id):
                _describe_project(session, attempt, project, row, validated)
                _write_changes(session, attempt, project, row)
            else:
                row = registered[project.project_id]
                _check_openai_project(project, row)
                _write_attributes(session, attempt, project, row)
                _write_owners(session, attempt, project)
    # Last, because a team that is ended may have owned projects until then.
    active = {row.team_id: row.is_active for row in teams}
    for team in document.teams:
        with _named(f"Team {team.team_id!r}"):
            _write_end(session, attempt, team, is_active=active[team.team_id])


def _write_team(session: Session, attempt: Attempt, team: TeamEntry, *, is_new: bool) -> None:
    subject = Subject(team.team_id)
    if is_new:
        describe_team(session, attempt.part("team.add", subject), team.team_id, team.given())
    else:
        timeline = team_timelines(session, team.team_id)[team.team_id]
        if _from_today(team, timeline):
            part = attempt.part("team.set", subject)
            change_team(session, part, team.team_id, team.given(), today())
    for change in team.changes:
        part = attempt.part("team.set", subject)
        change_team(session, part, team.team_id, change.given(), change.effective)


def _write_end(session: Session, attempt: Attempt, team: TeamEntry, *, is_active: bool) -> None:
    if team.is_active in {None, is_active}:
        return
    if team.is_active:
        raise UsageError("was deactivated and cannot be made active again", "Register another one.")
    end_team(session, attempt.part("team.deactivate", Subject(team.team_id)), team.team_id)


def _insert_projects(
    session: Session, document: Document, registered: Mapping[str, ProjectRow]
) -> dict[str, ProjectRow]:
    holders = {row.openai_project_id: row.project_id for row in registered.values()}
    new = {}
    for project in document.projects:
        if project.project_id not in registered:
            new[project.project_id] = project.openai_project_id
            if holder := holders.get(project.openai_project_id):
                with _named(f"Project {project.project_id!r}"):
                    raise taken(session, project.openai_project_id, holder)
    return {row.project_id: row for row in insert_projects(session, new)}


def _describe_project(
    session: Session,
    attempt: Attempt,
    project: ProjectEntry,
    row: ProjectRow,
    validated: Collection[str],
) -> None:
    if not project.owners:
        raise UsageError("is new and has no owners", "Add owners with a team_id.")
    ends = [owner.valid_from for owner in project.owners[1:]]
    timeline = [
        Period(owner.valid_from, end, owner.team_id)
        for owner, end in zip(project.owners, [*ends, None], strict=True)
    ]
    owner_today = current(timeline, today()).value
    describe_project(
        session,
        attempt.part("project.add", Subject(owner_today, row.project_id)),
        row,
        project.given(),
        timeline,
        validated=row.project_id in validated,
    )


def _check_openai_project(project: ProjectEntry, row: ProjectRow) -> None:
    if row.openai_project_id != project.openai_project_id:
        raise UsageError(
            f"is registered for the OpenAI project {row.openai_project_id}, and keeps it",
            "Register the other one under an id of its own.",
        )


def _write_attributes(
    session: Session, attempt: Attempt, project: ProjectEntry, row: ProjectRow
) -> None:
    timeline = project_timelines(session, row.project_id)[row.project_id]
    if _from_today(project, timeline):
        part = attempt.part("project.set", Subject(project_id=row.project_id))
        change_project(session, part, row, project.given(), today())
    _write_changes(session, attempt, project, row)


def _write_changes(
    session: Session, attempt: Attempt, project: ProjectEntry, row: ProjectRow
) -> None:
    for change in project.changes:
        part = attempt.part("project.set", Subject(project_id=row.project_id))
        change_project(session, part, row, change.given(), change.effective)


def _write_owners(session: Session, attempt: Attempt, project: ProjectEntry) -> None:
    if not project.owners:
        return
    name = project.project_id
    first, registered = project.owners[0], owners(session, name)[name][0]
    if first.team_id != registered.value or (
        first.valid_from is not None and first.valid_from != registered.valid_from
    ):
        raise UsageError(
            f"has the first owner {registered.value!r} ({_since(registered.valid_from)}), and the "
            f"file says {first.team_id!r} ({_since(first.valid_from)})",
            "The past keeps its owner: keep the first one and add the next with a valid_from.",
        )
    for owner in project.owners[1:]:
        assert owner.valid_from is not None, "only a first owner may own since ever"
        if current(owners(session, name)[name], owner.valid_from).value != owner.team_id:
            move = planned_move(session, name, owner.team_id, owner.valid_from)
            write_move(session, attempt.part("project.move", Subject(owner.team_id, name)), move)
    mentioned = {(owner.valid_from, owner.team_id) for owner in project.owners[1:]}
    for period in owners(session, name)[name][1:]:
        if (period.valid_from, period.value) not in mentioned:
            raise UsageError(
                f"moves to team {period.value!r} on {period.valid_from}, which the file does not "
                "mention",
                "Add it, as `finops registry export` shows it: a file takes no move back.",
            )


def _from_today(entry: TeamEntry | ProjectEntry, timeline: Timeline[Any]) -> bool:
    """Whether the entry's own attributes are those of today, and not of the past.

    Raises:
        UsageError: they are of the past, which was otherwise.
    """
    last_day = entry.changes[0].effective - timedelta(days=1) if entry.changes else today()
    if last_day >= today():
        return True
    registered = asdict(current(timeline, last_day).value)
    for name, value in entry.given().items():
        if registered[name] != value:
            raise UsageError(
                f"has {name} {registered[name]!r} on {last_day}, and the file says {value!r} for "
                "the days before its first change",
                "The past keeps its values: add a change with its effective day.",
            )
    return False


def _since(day: date | None) -> str:
    return "since ever" if day is None else f"from {day}"


@contextmanager
def _named(entry: str) -> Iterator[None]:
    """Errors name the entry of the file that they are about."""
    try:
        yield
    except UsageError as error:
        message = error.message.rstrip(".")
        told = f"{entry} {message}." if message[0].islower() else f"{entry}: {message}."
        raise UsageError(told, error.fix) from None


def _history(timeline: Timeline[Any]) -> dict[str, Any]:
    first, *later = (asdict(period.value) for period in timeline)
    entry: dict[str, Any] = {name: value for name, value in first.items() if value}
    changes = []
    before = first
    for period, after in zip(timeline[1:], later, strict=True):
        changed = {name: value for name, value in after.items() if value != before[name]}
        changes.append({"effective": period.valid_from} | changed)
        before = after
    return entry | ({"changes": changes} if changes else {})


def _owner(period: Period[str]) -> dict[str, Any]:
    return {"team_id": period.value} | (
        {} if period.valid_from is None else {"valid_from": period.valid_from}
    )


def _outline(change: Change) -> tuple[object, ...]:
    """Without whether a project was validated, which is not known when the plan is made."""
    return change.action, change.subject, change.before, {**(change.after or {}), "validated": None}

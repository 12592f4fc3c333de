"""Projects: what the money was spent on, and which team owned it when."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from finops_pipeline.errors import UsageError
from finops_pipeline.registry import periods, rules
from finops_pipeline.registry.audit import Attempt, Audited, Subject
from finops_pipeline.registry.models import ProjectRow
from finops_pipeline.registry.periods import (
    owners,
    project_timelines,
    save_project,
    today,
)
from finops_pipeline.registry.records import Project, ProjectAttributes
from finops_pipeline.registry.teams import Attributes, active_team_row, team_row
from finops_pipeline.registry.timeline import Period, Timeline, changed, current


class Projects(Audited):
    """The registry's part about projects."""

    def add_project(
        self,
        project_id: str,
        *,
        team_id: str,
        openai_project_id: str,
        project_name: str | None = None,
        environment: str | None = None,
        owner_email: str | None = None,
        cost_center: str | None = None,
        tags: Mapping[str, str] | None = None,
        valid_from: date | None = None,
        check: Callable[[], str | None] | None = None,
    ) -> Project:
        """Register a project and its first owner.

        Its name defaults to the one at OpenAI, where that is known, and then to its id.

        Args:
            project_id: A slug that it keeps for good.
            team_id: Its first owner.
            openai_project_id: Which of OpenAI's projects it is; no two of ours may be the same.
            project_name, environment, owner_email, cost_center, tags: What is known of it.
            valid_from: The first UTC day that the team owns it; None means since ever.
            check: Sees that the team's key sees it, or raises; gives its name at OpenAI where the
                key may read it. Called outside of any transaction, and only once all else is
                right. The audit log says whether there was one.

        Raises:
            UsageError: an id is not usable or taken, the team is unknown or deactivated, an
                attribute is not usable.
            FinopsError: as ``check`` raises.
        """
        with self._attempt("project.add", Subject(team_id, project_id)) as attempt:
            given = rules.cleaned(
                {
                    "project_name": project_name,
                    "environment": environment,
                    "owner_email": owner_email,
                    "cost_center": cost_center,
                }
            )
            known_tags = rules.merged_tags({}, tags or {})
            with self._database.reading() as session:
                _check_new(session, project_id, openai_project_id)
                active_team_row(session, team_id)
            if check is not None:
                given["project_name"] = given["project_name"] or _usable_name(check())
            with attempt.writing() as session:
                _check_new(session, project_id, openai_project_id)
                [row] = insert_projects(session, {project_id: openai_project_id})
                describe_project(
                    session,
                    attempt,
                    row,
                    {**given, "tags": known_tags},
                    [Period(valid_from, None, team_id)],
                    validated=check is not None,
                )
                return _record(session, row)

    def set_project(
        self,
        project_id: str,
        *,
        project_name: str | None = None,
        environment: str | None = None,
        owner_email: str | None = None,
        cost_center: str | None = None,
        tags: Mapping[str, str] | None = None,
        effective: date | None = None,
    ) -> Project:
        """Change a project's attributes: None leaves one as it is, empty text clears it.

        The given tags are put over the existing ones; an empty value removes a tag. The change
        holds from ``effective`` on (a UTC day; None: today) and until a later change that is
        already dated; what was so before stays so.

        Raises:
            UsageError: unknown project, or an attribute is not usable.
        """
        subject = Subject(project_id=project_id)
        with self._attempt("project.set", subject) as attempt, attempt.writing() as session:
            row = project_row(session, project_id)
            changes = {
                "project_name": project_name,
                "environment": environment,
                "owner_email": owner_email,
                "cost_center": cost_center,
            }
            given: dict[str, Any] = {
                **rules.cleaned({k: v for k, v in changes.items() if v is not None})
            }
            from_day = effective or today()
            if tags is not None:
                known = current(project_timelines(session, project_id)[project_id], from_day)
                given["tags"] = rules.merged_tags(known.value.tags, tags)
            change_project(session, attempt, row, given, from_day)
            return _record(session, row)

    def list_projects(self) -> list[Project]:
        """Every project, by id."""
        with self._database.reading() as session:
            attributes, owned = project_timelines(session), owners(session)
            rows = session.scalars(select(ProjectRow).order_by(ProjectRow.project_id))
            return [_joined(row, attributes[row.project_id], owned[row.project_id]) for row in rows]


def insert_projects(session: Session, openai_project_ids: Mapping[str, str]) -> list[ProjectRow]:
    """Make projects known, by their ids, which are free; describe each one next."""
    now = datetime.now(UTC)
    rows = [
        ProjectRow(
            project_id=project_id,
            openai_project_id=openai_project_id,
            is_active=True,
            created_at=now,
            updated_at=now,
        )
        for project_id, openai_project_id in openai_project_ids.items()
    ]
    session.add_all(rows)
    session.flush()
    return rows


def describe_project(
    session: Session,
    attempt: Attempt,
    row: ProjectRow,
    given: Attributes,
    timeline: Sequence[Period[str]],
    *,
    validated: bool,
) -> None:
    """Write a new project's owners, and its attributes, which hold since ever.

    Raises:
        UsageError: a team is unknown, or the last one deactivated.
    """
    for period in timeline[:-1]:
        team_row(session, period.value)
    active_team_row(session, timeline[-1].value)
    attributes = ProjectAttributes(
        project_name=given.get("project_name") or row.project_id,
        environment=given.get("environment"),
        owner_email=given.get("owner_email"),
        cost_center=given.get("cost_center"),
        tags=given.get("tags") or {},
    )
    periods.add_project(session, row.project_id, [Period(None, None, attributes)])
    periods.add_owners(session, row.project_id, timeline)
    attempt.record(
        session,
        after={
            **asdict(attributes),
            "openai_project_id": row.openai_project_id,
            "owners": [
                {"team_id": period.value, "valid_from": period.valid_from} for period in timeline
            ],
            "validated": validated,
        },
    )


def change_project(
    session: Session, attempt: Attempt, row: ProjectRow, given: Attributes, effective: date
) -> None:
    """Write the given attributes from ``effective`` on; nothing where they are so already."""
    if "project_name" in given:
        given = {**given, "project_name": given["project_name"] or row.project_id}
    before = project_timelines(session, row.project_id)[row.project_id]
    after = changed(before, effective, lambda value: replace(value, **given))
    if after == before:
        return
    save_project(session, row.project_id, after)
    row.updated_at = datetime.now(UTC)
    former = asdict(current(before, effective).value)
    attempt.record(
        session,
        before={name: former[name] for name in given},
        after={**given, "effective": effective},
    )


def project_row(session: Session, project_id: str) -> ProjectRow:
    """A registered project.

    Raises:
        UsageError: unknown; names the near matches.
    """
    row = session.get(ProjectRow, project_id)
    if row is None:
        raise rules.unknown("project", project_id, session.scalars(select(ProjectRow.project_id)))
    return row


def _usable_name(name: str | None) -> str | None:
    """OpenAI's name of a project; none where it could not be given here."""
    try:
        return rules.attribute(name, "project's name")
    except UsageError:
        return None


def _check_new(session: Session, project_id: str, openai_project_id: str) -> None:
    rules.check_slug(project_id, "project")
    rules.check_openai_project(openai_project_id)
    same_id = session.get(ProjectRow, project_id)
    if same_id is not None:
        raise UsageError(
            f"Project {project_id!r} is already registered, for the OpenAI project "
            f"{same_id.openai_project_id}.",
            f"Change it with `finops project set {project_id}`.",
        )
    holder = session.scalar(
        select(ProjectRow.project_id).where(ProjectRow.openai_project_id == openai_project_id)
    )
    if holder is not None:
        raise taken(session, openai_project_id, holder)


def taken(session: Session, openai_project_id: str, holder: str) -> UsageError:
    """The error for an OpenAI project that is registered as ``holder`` already."""
    owner = current(owners(session, holder)[holder], today()).value
    return UsageError(
        f"The OpenAI project {openai_project_id} is already registered as project {holder!r} of "
        f"team {owner!r}.",
        f"Give it to another team with `finops project move {holder}`.",
    )


def _record(session: Session, row: ProjectRow) -> Project:
    return _joined(
        row,
        project_timelines(session, row.project_id)[row.project_id],
        owners(session, row.project_id)[row.project_id],
    )


def _joined(
    row: ProjectRow, attributes: Timeline[ProjectAttributes], owned: Timeline[str]
) -> Project:
    owner = current(owned, today())
    return Project(
        project_id=row.project_id,
        team_id=owner.value,
        valid_from=owner.valid_from,
        openai_project_id=row.openai_project_id,
        is_active=row.is_active,
        created_at=row.created_at,
        updated_at=row.updated_at,
        **asdict(current(attributes, today()).value),
    )

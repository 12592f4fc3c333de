"""Projects: what the money was spent on, and which team owned it when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, date, datetime

from sqlalchemy import select

from finops_pipeline.errors import UsageError
from finops_pipeline.registry import rules
from finops_pipeline.registry.database import Database
from finops_pipeline.registry.models import OwnershipRow, ProjectRow
from finops_pipeline.registry.records import Project
from finops_pipeline.registry.teams import active_team_row

_OWNED = select(ProjectRow, OwnershipRow).join(
    OwnershipRow,
    (OwnershipRow.project_id == ProjectRow.project_id) & OwnershipRow.valid_to.is_(None),
)


class Projects:
    """The registry's part about projects."""

    _database: Database

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
    ) -> Project:
        """Register a project and its first owner; its name defaults to its id.

        ``valid_from`` is the first UTC day that the team owns it; None means since ever.

        Raises:
            UsageError: an id is not usable or taken, the team is unknown or deactivated, an
                attribute is not usable.
        """
        now = datetime.now(UTC)
        project = ProjectRow(
            project_id=rules.check_slug(project_id, "project"),
            project_name=rules.attribute(project_name, "project's name") or project_id,
            openai_project_id=rules.check_openai_project(openai_project_id),
            environment=rules.attribute(environment, "environment"),
            owner_email=rules.email(owner_email, "owner's address"),
            cost_center=rules.attribute(cost_center, "cost centre"),
            tags=rules.merged_tags({}, tags or {}),
            is_active=True,
            created_at=now,
            updated_at=now,
        )
        with self._database.writing() as session:
            active_team_row(session, team_id)
            same_id = session.get(ProjectRow, project_id)
            if same_id is not None:
                raise UsageError(
                    f"Project {project_id!r} is already registered, for the OpenAI project "
                    f"{same_id.openai_project_id}.",
                    f"Change it with `finops project set {project_id}`.",
                )
            holder = session.scalar(
                select(ProjectRow.project_id).where(
                    ProjectRow.openai_project_id == openai_project_id
                )
            )
            if holder is not None:
                raise UsageError(
                    f"The OpenAI project {openai_project_id} is already registered as project "
                    f"{holder!r}.",
                    "`finops project list` shows every project.",
                )
            session.add(project)
            session.flush()
            owner = OwnershipRow(project_id=project_id, team_id=team_id, valid_from=valid_from)
            session.add(owner)
            session.flush()
            return _record(project, owner)

    def set_project(
        self,
        project_id: str,
        *,
        project_name: str | None = None,
        environment: str | None = None,
        owner_email: str | None = None,
        cost_center: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> Project:
        """Change a project's attributes: None leaves one as it is, empty text clears it.

        The given tags are put over the existing ones; an empty value removes a tag.

        Raises:
            UsageError: unknown project, or an attribute is not usable.
        """
        with self._database.writing() as session:
            found = session.execute(_OWNED.where(ProjectRow.project_id == project_id)).first()
            if found is None:
                known = session.scalars(select(ProjectRow.project_id))
                raise rules.unknown("project", project_id, known)
            project, owner = found
            if project_name is not None:
                project.project_name = rules.attribute(project_name, "project's name") or project_id
            if environment is not None:
                project.environment = rules.attribute(environment, "environment")
            if owner_email is not None:
                project.owner_email = rules.email(owner_email, "owner's address")
            if cost_center is not None:
                project.cost_center = rules.attribute(cost_center, "cost centre")
            if tags is not None:
                project.tags = rules.merged_tags(project.tags, tags)
            if session.is_modified(project):
                project.updated_at = datetime.now(UTC)
            session.flush()
            return _record(project, owner)

    def list_projects(self) -> list[Project]:
        """Every project, by id."""
        with self._database.reading() as session:
            found = session.execute(_OWNED.order_by(ProjectRow.project_id))
            return [_record(project, owner) for project, owner in found]


def _record(project: ProjectRow, owner: OwnershipRow) -> Project:
    values = {
        field.name: getattr(project, field.name)
        for field in fields(Project)
        if field.name not in {"team_id", "valid_from"}
    }
    return Project(**values, team_id=owner.team_id, valid_from=owner.valid_from)

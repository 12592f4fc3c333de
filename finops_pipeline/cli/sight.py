"""Whether a team's key sees the OpenAI projects that are registered for the team."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from finops_pipeline.errors import FinopsError, UsageError
from finops_pipeline.registry import Registry
from finops_pipeline.settings import Settings


@dataclass(frozen=True)
class Sight:
    """What a team's key shows of one project.

    Attributes:
        team_id: The team.
        openai_project_id: The project.
        visible: None where it cannot be told: the key may not list projects and saw no spend.
        name: The project's name at OpenAI, where the key may list projects.
    """

    team_id: str
    openai_project_id: str
    visible: bool | None
    name: str | None

    def problem(self) -> str | None:
        """Why the project must not be relied on, as a sentence; none where it may."""
        if self.visible:
            return None
        if self.visible is None:
            return (
                f"It cannot be told whether the key of team {self.team_id} sees the OpenAI project "
                f"{self.openai_project_id}: the key may not list projects (scope "
                "api.management.read), and no spend of it in the last 180 days shows it."
            )
        return (
            f"The key of team {self.team_id} cannot see the OpenAI project "
            f"{self.openai_project_id}."
        )


def look(
    registry: Registry, settings: Settings, team_id: str, openai_project_ids: Iterable[str]
) -> list[Sight]:
    """Ask OpenAI with the team's active key; one listing for all of the projects.

    Raises:
        UsageError: the team is unknown, or has no active key.
        FinopsError: the key does not decrypt, or OpenAI does not answer it.
    """
    from finops_pipeline.openai_admin import AdminClient
    from finops_pipeline.openai_admin.access import examine, sees_project

    key = registry.active_admin_key(team_id)
    if key is None:
        raise UsageError(
            f"Team {team_id!r} has no active admin key that could see a project.",
            f"Register one with `finops key register {team_id}`, or give --no-validate.",
        )
    with AdminClient(
        team_id=team_id, base_url=settings.openai_base_url, api_key=key.reveal
    ) as client:
        access = examine(client)
        return [
            Sight(
                team_id, name, sees_project(client, name, access=access), access.projects.get(name)
            )
            for name in openai_project_ids
        ]


def check_seen(sights: Iterable[Sight]) -> None:
    """Refuse what the keys do not see.

    Raises:
        FinopsError: names each such project.
    """
    problems = [problem for sight in sights if (problem := sight.problem())]
    if problems:
        raise FinopsError(
            " ".join(problems),
            "Copy the id from the project's settings at OpenAI, see that the key is of the "
            "organization that has it, or give --no-validate.",
        )

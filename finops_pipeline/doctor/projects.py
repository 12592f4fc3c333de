"""Projects: whether their team's key sees them, and what is registered at all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from finops_pipeline import marts
from finops_pipeline.doctor.check import Check, fail, ok, warn
from finops_pipeline.openai_admin import AdminClient
from finops_pipeline.openai_admin.access import Access, sees_project
from finops_pipeline.settings import Settings

if TYPE_CHECKING:
    from finops_pipeline.registry import CollectableTeam, Project

_NAMED = 3
"""How many examples a sentence names."""

_UNREGISTERED = """
SELECT openai_project_id, currency, sum(cost) AS cost
FROM rpt_unallocated_costs
WHERE openai_project_id IS NOT NULL
GROUP BY openai_project_id, currency
HAVING sum(cost) > 0
ORDER BY cost DESC
"""


def projects_visible(
    client: AdminClient, access: Access, team_id: str, owned: Sequence[Project]
) -> Iterator[Check]:
    """Each project that the team owns today, as its key sees it."""
    name = "projects_visible"
    if not owned:
        return
    unseen, unknown = [], []
    for project in owned:
        match sees_project(client, project.openai_project_id, access=access):
            case False:
                unseen.append(f"{project.openai_project_id} ({project.project_id})")
            case None:
                unknown.append(f"{project.openai_project_id} ({project.project_id})")
    if unseen:
        yield fail(
            name,
            f"The key of team {team_id} does not see {_named(unseen)}: a wrong project id, or a "
            "project of another organization.",
            "Compare the id with the project's page at OpenAI. A project of another organization "
            "has to belong to a team whose key opens that one: `finops project move`.",
            team_id=team_id,
        )
    elif unknown:
        yield warn(
            name,
            f"Whether the key sees {_named(unknown)} cannot be told: it may not list projects, "
            "and no spend of the last 180 days shows it.",
            "Compare the ids with OpenAI's pages, or give the key api.management.read.",
            team_id=team_id,
        )
    else:
        seen = "1 project is" if len(owned) == 1 else f"All {len(owned)} projects are"
        yield ok(name, f"{seen} visible to the key.", team_id=team_id)


def teams_with_key(teams: Sequence[CollectableTeam]) -> Iterator[Check]:
    """The share of active teams with an active admin key."""
    name = "teams_with_key"
    without = [team.team_id for team in teams if team.key is None]
    told = f"{len(teams) - len(without)} of {len(teams)} active teams have an admin key"
    if without:
        yield warn(
            name,
            f"{told}; without: {_named(without)}.",
            f"`finops key register {without[0]}`; a run reports the others as failed until then.",
        )
    else:
        yield ok(name, f"{told}.")


def projects_with_openai_id(projects: Sequence[Project]) -> Iterator[Check]:
    """The share of active projects whose OpenAI id looks like one."""
    from finops_pipeline.registry.rules import is_usual_openai_project

    name = "projects_with_openai_id"
    if not projects:
        yield warn(
            name,
            "No project is registered, so all spend is unallocated.",
            "`finops project add ID --team TEAM --openai-project-id proj_…`",
        )
        return
    odd = [
        f"{project.openai_project_id} ({project.project_id})"
        for project in projects
        if not is_usual_openai_project(project.openai_project_id)
    ]
    told = f"{len(projects) - len(odd)} of {len(projects)} active projects have an OpenAI id"
    if odd:
        yield warn(
            name,
            f"{told} of the usual form; not so: {_named(odd)}.",
            "Compare them with the projects' pages at OpenAI.",
        )
    else:
        yield ok(name, f"{told}.")


def projects_registered(settings: Settings) -> Iterator[Check]:
    """OpenAI projects with spend that are not registered, as the published marts know them."""
    name = "projects_registered"
    if not settings.marts_path.exists():
        return
    with marts.connect(settings.marts_path) as connection:
        rows = connection.execute(_UNREGISTERED).fetchall()
    if not rows:
        yield ok(name, "Every OpenAI project with spend is registered.")
        return
    spent = [f"{project} ({cost:,.2f} {currency})" for project, currency, cost in rows]
    count = len({project for project, _, _ in rows})
    have = "1 OpenAI project has" if count == 1 else f"{count} OpenAI projects have"
    yield warn(
        name,
        f"{have} spend without being registered: {_named(spent)}.",
        "`finops project add ID --team TEAM --openai-project-id …`, then `finops build`.",
    )


def _named(things: Sequence[str]) -> str:
    rest = len(things) - _NAMED
    return ", ".join(things[:_NAMED]) + (f" and {rest} more" if rest > 0 else "")

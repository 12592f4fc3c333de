"""`finops project`: which OpenAI project is which of ours, and whose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from typing import Annotated

import typer

from finops_pipeline.cli.opened import has_registry, opened_registry
from finops_pipeline.cli.output import JsonOption, emit, emit_one, warn
from finops_pipeline.errors import UsageError
from finops_pipeline.registry.rules import is_usual_openai_project
from finops_pipeline.settings import load_settings

app = typer.Typer(no_args_is_help=True, help="Register projects and change what is known of them.")

TABLE_COLUMNS = (
    "project_id",
    "project_name",
    "team_id",
    "valid_from",
    "openai_project_id",
    "environment",
    "cost_center",
    "is_active",
)
COLUMNS = (*TABLE_COLUMNS, "owner_email", "tags", "created_at", "updated_at")

Name = Annotated[str | None, typer.Option("--name", help="The name that people read.")]
Environment = Annotated[
    str | None, typer.Option("--environment", help="For example production or staging.")
]
Owner = Annotated[str | None, typer.Option("--owner-email", help="Who answers for the spend.")]
CostCenter = Annotated[str | None, typer.Option("--cost-center", help="Where it is charged.")]


@app.command("add")
def add(
    project_id: Annotated[
        str,
        typer.Argument(metavar="ID", help="Lower-case letters, digits, '-' and '_'; for good."),
    ],
    team: Annotated[str, typer.Option("--team", help="The owning team's id.")],
    openai_project_id: Annotated[
        str, typer.Option("--openai-project-id", help="The project's id at OpenAI (proj_…).")
    ],
    name: Name = None,
    environment: Environment = None,
    owner_email: Owner = None,
    cost_center: CostCenter = None,
    tag: Annotated[
        list[str] | None, typer.Option("--tag", metavar="K=V", help="May be repeated.")
    ] = None,
    valid_from: Annotated[
        str | None,
        typer.Option(
            "--valid-from",
            metavar="YYYY-MM-DD",
            help="First day (UTC) that the team owns it; without it, since ever.",
        ),
    ] = None,
    _no_validate: Annotated[
        bool,
        typer.Option(
            "--no-validate",
            help="Register without a test call. This version makes none in any case.",
        ),
    ] = False,
    json: JsonOption = False,
) -> None:
    """Register an OpenAI project and the team that owns it."""
    owned_from = None if valid_from is None else _day(valid_from)
    with opened_registry() as registry:
        project = registry.add_project(
            project_id,
            team_id=team,
            openai_project_id=openai_project_id,
            project_name=name,
            environment=environment,
            owner_email=owner_email,
            cost_center=cost_center,
            tags=_tags(tag or ()),
            valid_from=owned_from,
        )
    if not is_usual_openai_project(openai_project_id):
        warn(
            f"{openai_project_id} does not look like OpenAI's project ids (proj_ and 24 letters or "
            "digits); it is registered as given."
        )
    emit_one(asdict(project), COLUMNS, json=json, sentence=f"Project {project_id} is registered.")


@app.command("list")
def list_projects(json: JsonOption = False) -> None:
    """Show every project with the team that owns it."""
    projects = []
    if has_registry(load_settings()):
        with opened_registry() as registry:
            projects = registry.list_projects()
    columns = COLUMNS if json else TABLE_COLUMNS
    emit([asdict(project) for project in projects], columns, json=json, title="Projects")


@app.command("set")
def change(
    project_id: Annotated[str, typer.Argument(metavar="ID", help="The project's id.")],
    name: Name = None,
    environment: Environment = None,
    owner_email: Owner = None,
    cost_center: CostCenter = None,
    tag: Annotated[
        list[str] | None,
        typer.Option("--tag", metavar="K=V", help="Adds or replaces a tag; K= removes it."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Change a project; an empty text ("") clears a value."""
    given = (name, environment, owner_email, cost_center)
    if not tag and all(value is None for value in given):
        raise UsageError(
            "Nothing to change was given.", "`finops project set --help` lists it all."
        )
    with opened_registry() as registry:
        project = registry.set_project(
            project_id,
            project_name=name,
            environment=environment,
            owner_email=owner_email,
            cost_center=cost_center,
            tags=_tags(tag) if tag else None,
        )
    emit_one(asdict(project), COLUMNS, json=json, sentence=f"Project {project_id} is changed.")


def _tags(given: Sequence[str]) -> dict[str, str]:
    tags: dict[str, str] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            raise UsageError("A --tag has no '='.", "Write it as --tag name=value.")
        if name in tags:
            raise UsageError("A --tag is given twice.", "Give each name once.")
        tags[name] = value
    return tags


def _day(text: str) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = None
    # Python also reads other forms (20260131, 2026-W05-6), which hide typing errors.
    if day is None or day.isoformat() != text:
        raise UsageError("--valid-from is no date.", "Write it as YYYY-MM-DD.")
    return day

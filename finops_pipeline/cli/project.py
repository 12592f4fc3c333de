"""`finops project`: which OpenAI project is which of ours, and whose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import typer

from finops_pipeline.cli.days import EffectiveOption, optional_day, parse_day
from finops_pipeline.cli.moved_money import move_sentence, show_moved_money
from finops_pipeline.cli.opened import OnBehalfOfOption, has_registry, opened_registry
from finops_pipeline.cli.output import JsonOption, emit, emit_one, warn
from finops_pipeline.cli.sight import check_seen, look
from finops_pipeline.errors import UsageError
from finops_pipeline.registry.rules import check_openai_project, is_usual_openai_project
from finops_pipeline.settings import load_settings

app = typer.Typer(no_args_is_help=True, help="Register projects and change what is known of them.")

COLUMNS = (
    "project_id",
    "project_name",
    "team_id",
    "valid_from",
    "openai_project_id",
    "environment",
    "cost_center",
    "is_active",
    "owner_email",
    "tags",
    "created_at",
    "updated_at",
)
TABLE_COLUMNS = ("project_id", "team_id", "valid_from", "openai_project_id", "is_active")

_BUILD = "`finops build` brings it into the marts."

ProjectId = Annotated[str, typer.Argument(metavar="ID", help="The project's id.")]
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
    no_validate: Annotated[
        bool,
        typer.Option(
            "--no-validate",
            help="Do not ask OpenAI whether the team's key sees it; the audit log says so.",
        ),
    ] = False,
    on_behalf_of: OnBehalfOfOption = None,
    json: JsonOption = False,
) -> None:
    """Register an OpenAI project and the team that owns it, once the team's key has seen it."""
    owned_from = optional_day(valid_from, "--valid-from")
    with opened_registry(on_behalf_of=on_behalf_of) as registry:

        def seen_name() -> str | None:
            [sight] = look(registry, load_settings(), team, [openai_project_id])
            check_seen([sight])
            return sight.name

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
            check=None if no_validate else seen_name,
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
    project_id: ProjectId,
    name: Name = None,
    environment: Environment = None,
    owner_email: Owner = None,
    cost_center: CostCenter = None,
    tag: Annotated[
        list[str] | None,
        typer.Option("--tag", metavar="K=V", help="Adds or replaces a tag; K= removes it."),
    ] = None,
    effective: EffectiveOption = None,
    on_behalf_of: OnBehalfOfOption = None,
    json: JsonOption = False,
) -> None:
    """Change a project; an empty text ("") clears a value."""
    given = (name, environment, owner_email, cost_center)
    if not tag and all(value is None for value in given):
        raise UsageError(
            "Nothing to change was given.", "`finops project set --help` lists it all."
        )
    from_day = optional_day(effective, "--effective")
    with opened_registry(on_behalf_of=on_behalf_of) as registry:
        project = registry.set_project(
            project_id,
            project_name=name,
            environment=environment,
            owner_email=owner_email,
            cost_center=cost_center,
            tags=_tags(tag) if tag else None,
            effective=from_day,
        )
    when = "" if from_day is None else f" from {from_day} on"
    sentence = f"Project {project_id} is changed{when}."
    emit_one(asdict(project), COLUMNS, json=json, sentence=sentence)


@app.command("move")
def move(
    project_id: ProjectId,
    team: Annotated[str, typer.Option("--team", help="The new owner's id.")],
    effective: Annotated[
        str,
        typer.Option("--effective", metavar="YYYY-MM-DD", help="First day (UTC) of the new owner."),
    ],
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Only show how much money would change its owner."),
    ] = False,
    on_behalf_of: OnBehalfOfOption = None,
    json: JsonOption = False,
) -> None:
    """Give a project to another team from a day on; the days before keep their owner."""
    day = parse_day(effective, "--effective")
    with opened_registry(on_behalf_of=on_behalf_of) as registry:
        if dry_run:
            planned = registry.plan_move(project_id, team_id=team, effective=day)
        else:
            done = registry.move_project(project_id, team_id=team, effective=day)
    if dry_run:
        show_moved_money(planned, json=json)
    else:
        columns = tuple(asdict(done))
        emit_one(asdict(done), columns, json=json, sentence=f"{move_sentence(done)} {_BUILD}")


@app.command("validate")
def validate(
    openai_project_id: Annotated[
        str, typer.Argument(metavar="P", help="The project's id at OpenAI (proj_…).")
    ],
    team: Annotated[str, typer.Option("--team", help="The team whose key is asked.")],
    json: JsonOption = False,
) -> None:
    """Ask OpenAI whether a team's key sees a project."""
    check_openai_project(openai_project_id)
    with opened_registry() as registry:
        [sight] = look(registry, load_settings(), team, [openai_project_id])
    check_seen([sight])
    called = "" if sight.name is None else f" ({sight.name})"
    emit_one(
        asdict(sight),
        ("openai_project_id", "team_id", "visible", "name"),
        json=json,
        sentence=f"The key of team {team} sees the OpenAI project {openai_project_id}{called}.",
    )


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

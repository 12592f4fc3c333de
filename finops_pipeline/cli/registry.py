"""`finops registry`: the registry as a reviewed file, and its schema."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from finops_pipeline.cli.changes import change_text, subject_text
from finops_pipeline.cli.opened import OnBehalfOfOption, opened_registry
from finops_pipeline.cli.output import JsonOption, emit, emit_one, print_entries
from finops_pipeline.cli.sight import check_seen, look
from finops_pipeline.settings import load_settings

if TYPE_CHECKING:
    from finops_pipeline.registry import Registry
    from finops_pipeline.registry.audit import Change
    from finops_pipeline.registry.document import Document

app = typer.Typer(no_args_is_help=True, help="Keep teams and projects in a reviewed file.")

PLAN_COLUMNS = ("action", "team_id", "project_id", "before", "after")


@app.command("apply")
def apply(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="YAML, as `export` writes it.")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the plan and change nothing.")
    ] = False,
    no_validate: Annotated[
        bool,
        typer.Option(
            "--no-validate",
            help="Do not ask OpenAI whether the teams' keys see the new projects; the audit log "
            "says so.",
        ),
    ] = False,
    on_behalf_of: OnBehalfOfOption = None,
    json: JsonOption = False,
) -> None:
    """Show what a file of teams and projects would change, then change it: all or nothing.

    Nothing is taken away that the file does not mention. Attributes change from today on (UTC),
    unless the file dates the change.
    """
    from finops_pipeline.registry.document_file import read_document

    document = read_document(file)
    with opened_registry(create=True, on_behalf_of=on_behalf_of) as registry:

        def check(plan: Sequence[Change]) -> set[str]:
            if not json:
                _show(plan)
            return set() if no_validate else _seen(registry, document, plan)

        if dry_run:
            changes = registry.plan_document(document)
        else:
            changes = registry.apply_document(document, check=check)
    if json:
        emit(list(map(_row, changes)), PLAN_COLUMNS, json=True, title="")
    elif not changes:
        typer.echo("Everything is as the file says; nothing to change.")
    elif dry_run:
        _show(changes)
        typer.echo(f"{len(changes)} changes would be made; nothing was changed.")
    else:
        typer.echo(f"{len(changes)} changes are made. `finops build` brings them into the marts.")


@app.command("export")
def export() -> None:
    """Print teams, projects and the whole history of owners as YAML, without keys."""
    from finops_pipeline.registry.document_file import document_text

    with opened_registry() as registry:
        typer.echo(document_text(registry.export_document()), nl=False)


@app.command("upgrade")
def upgrade(json: JsonOption = False) -> None:
    """Bring the registry's tables to this version's; make a backup first."""
    from finops_pipeline.registry.database import HEAD_REVISION, connect_database

    database = connect_database(load_settings())
    try:
        before = database.upgrade()
    finally:
        database.close()
    if before == HEAD_REVISION:
        sentence = f"The registry has the newest schema already, {HEAD_REVISION}."
    elif before is None:
        sentence = f"The registry's tables are made, with the schema {HEAD_REVISION}."
    else:
        sentence = f"The registry's schema went from {before} to {HEAD_REVISION}."
    values = {"from_revision": before, "to_revision": HEAD_REVISION}
    emit_one(values, tuple(values), json=json, sentence=sentence)


def _show(plan: Sequence[Change]) -> None:
    print_entries("Plan", map(_in_words, plan))


def _in_words(change: Change) -> tuple[str, str]:
    subject = subject_text(change.subject.team_id, change.subject.project_id)
    return f"{change.action}  {subject}", change_text(change.before, change.after)


def _row(change: Change) -> dict[str, object]:
    return {
        "action": change.action,
        "team_id": change.subject.team_id,
        "project_id": change.subject.project_id,
        "before": change.before,
        "after": change.after,
    }


def _seen(registry: Registry, document: Document, plan: Sequence[Change]) -> set[str]:
    """The new projects that their teams' keys see; those of teams without a key are left out.

    Raises:
        FinopsError: a key does not see one.
    """
    settings = load_settings()
    openai_ids = {project.project_id: project.openai_project_id for project in document.projects}
    new: dict[str, dict[str, str]] = {}
    for change in plan:
        team_id, project_id = change.subject.team_id, change.subject.project_id
        if change.action == "project.add" and team_id and project_id:
            new.setdefault(team_id, {})[openai_ids[project_id]] = project_id
    registered = {team.team_id for team in registry.list_teams()}
    with_key = {
        team_id
        for team_id in new
        if team_id in registered and registry.active_admin_key(team_id) is not None
    }
    sights = []
    for team_id in sorted(with_key):
        typer.echo(f"Asking OpenAI about new projects of team {team_id} …", err=True)
        sights += look(registry, settings, team_id, new[team_id])
    check_seen(sights)
    if unchecked := sorted(new.keys() - with_key):
        typer.echo(
            f"No key yet: {', '.join(unchecked)}. Their new projects are registered unchecked; "
            "`finops doctor` checks them once the keys are there.",
            err=True,
        )
    return {new[sight.team_id][sight.openai_project_id] for sight in sights}

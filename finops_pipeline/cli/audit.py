"""`finops audit`: who changed or opened what, when; and whether the trail is whole."""

from __future__ import annotations

import json as json_format
from dataclasses import asdict, fields
from typing import Annotated, Any

import typer

from finops_pipeline.cli.changes import change_text
from finops_pipeline.cli.opened import has_registry, opened_registry
from finops_pipeline.cli.output import JsonOption, emit, emit_one
from finops_pipeline.errors import FinopsError
from finops_pipeline.registry.records import AuditEntry, Verification
from finops_pipeline.settings import load_settings

app = typer.Typer(
    invoke_without_command=True,
    help="Show who changed which key or mapping, when. The newest entry stands last.",
)

SHOWN_ENTRIES = 50
"""Entries that are shown unless told otherwise."""

TABLE_COLUMNS = (
    "sequence",
    "recorded_at",
    "actor",
    "on_behalf_of",
    "action",
    "outcome",
    "team_id",
    "project_id",
    "change",
)
COLUMNS = tuple(field.name for field in fields(AuditEntry))


@app.callback()
def audit(
    ctx: typer.Context,
    team: Annotated[str | None, typer.Option("--team", help="Only this team's id.")] = None,
    limit: Annotated[
        int, typer.Option("--limit", min=1, help="At most so many, the newest.")
    ] = SHOWN_ENTRIES,
    json: JsonOption = False,
) -> None:
    """Show the newest entries of the audit log."""
    if ctx.invoked_subcommand is not None:
        return
    entries: list[AuditEntry] = []
    if has_registry(load_settings()):
        with opened_registry() as registry:
            entries = registry.audit_entries(team, limit=limit)
    rows = [_row(entry) for entry in entries]
    emit(rows, COLUMNS if json else TABLE_COLUMNS, json=json, title="Audit log")


@app.command("verify")
def verify(
    expect: Annotated[
        str | None,
        typer.Option(
            "--expect",
            metavar="HASH",
            help="A hash that was printed earlier and kept elsewhere: it has to be in the chain.",
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """See that no entry was edited or is missing; prints how many there are and the newest hash."""
    with opened_registry() as registry:
        found = registry.verify_audit(expect)
    emit_one(
        asdict(found) | {"ok": not found.problems},
        ("ok", "entries", "newest_hash", "problems"),
        json=json,
        sentence=_said(found),
    )
    if found.problems:
        raise FinopsError(
            f"The audit log is not whole: {'; '.join(found.problems)}.",
            "Compare it with a backup, and find out who can write to the registry's database.",
        )


def _said(found: Verification) -> str:
    state = "is not whole" if found.problems else "is whole"
    return f"The audit log {state}: {found.entries} entries, the newest {found.newest_hash}."


def _row(entry: AuditEntry) -> dict[str, Any]:
    before, after = (
        None if text is None else json_format.loads(text) for text in (entry.before, entry.after)
    )
    return asdict(entry) | {
        "before": before,
        "after": after,
        "change": entry.detail or change_text(before, after),
    }

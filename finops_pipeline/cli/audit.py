"""`finops audit`: who changed or opened what, when; and whether the trail is whole."""

from __future__ import annotations

import json as json_format
from dataclasses import asdict, fields
from typing import Annotated, Any

import typer

from finops_pipeline.cli.changes import change_text, subject_text
from finops_pipeline.cli.opened import has_registry, opened_registry
from finops_pipeline.cli.output import JsonOption, as_text, emit, emit_one, print_entries
from finops_pipeline.errors import FinopsError
from finops_pipeline.registry.records import AuditEntry, Verification
from finops_pipeline.settings import load_settings

app = typer.Typer(
    invoke_without_command=True,
    help="Show who changed which key or mapping, when. The newest entry stands last.",
)

SHOWN_ENTRIES = 50
"""Entries that are shown unless told otherwise."""

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
    if json:
        emit([_row(entry) for entry in entries], COLUMNS, json=True, title="")
    else:
        about = f" about team {as_text(team)}; `finops team list` names all" if team else ""
        print_entries("Audit log" if entries else f"No entry{about}.", map(_in_words, entries))


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
    before, after = _values(entry)
    return asdict(entry) | {"before": before, "after": after}


def _in_words(entry: AuditEntry) -> tuple[str, str]:
    """Who did what to what, and what that changed or why it was refused."""
    who = entry.actor if entry.on_behalf_of is None else f"{entry.actor} for {entry.on_behalf_of}"
    run = None if entry.run_id is None else f"run {entry.run_id}"
    words = (
        f"{entry.sequence}",
        as_text(entry.recorded_at),
        who,
        f"{entry.action} {entry.outcome}",
        subject_text(entry.team_id, entry.project_id),
        run,
    )
    return "  ".join(word for word in words if word), entry.detail or change_text(*_values(entry))


def _values(entry: AuditEntry) -> tuple[Any, Any]:
    before, after = (
        None if text is None else json_format.loads(text) for text in (entry.before, entry.after)
    )
    return before, after

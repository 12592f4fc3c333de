"""`finops doctor`: what is wrong with this installation, and what to do about it."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from finops_pipeline.cli.output import JsonOption, as_text, compact_json

if TYPE_CHECKING:
    from finops_pipeline.doctor import Check
    from finops_pipeline.doctor.rounds import OnProgress

_WIDTH = 80
"""Columns where standard output is no terminal, and at least so many on one."""

_STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red"}


def doctor(
    team: Annotated[
        str | None, typer.Option("--team", help="Only this team's keys and projects.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Check settings, registry, keys, projects, files and clock; exit code 1 where one fails."""
    with _progress() as on_progress:
        from finops_pipeline.doctor import diagnose

        checks = diagnose(team_id=team, on_progress=on_progress)
    healthy = all(check.status != "fail" for check in checks)
    if json:
        typer.echo(compact_json({"ok": healthy, "checks": [asdict(check) for check in checks]}))
    else:
        _print(checks)
    if not healthy:
        raise typer.Exit(1)


def _print(checks: Sequence[Check]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column("status")
    table.add_column("check")
    table.add_column("finding", overflow="fold")
    for check in _shortened(checks):
        finding = Text(as_text(check.detail))
        if check.fix:
            finding.append(f"\n→ {as_text(check.fix)}", style="bold")
        table.add_row(Text(check.status, style=_STYLES[check.status]), check.name, finding)
    terminal = sys.stdout.isatty()
    console = Console(file=sys.stdout, highlight=False, width=None if terminal else _WIDTH)
    console.print(table)
    console.print(_summary(checks), style="bold")


def _shortened(checks: Sequence[Check]) -> Iterator[Check]:
    """Every check of the installation, and of each team what is not as it should be."""
    from finops_pipeline.doctor import Check, Status

    yield from (check for check in checks if check.team_id is None)
    teams = dict.fromkeys(check.team_id for check in checks if check.team_id is not None)
    for team_id in teams:
        mine = [check for check in checks if check.team_id == team_id]
        good = [check.name for check in mine if check.status is Status.OK]
        if good:
            yield Check("team", team_id, Status.OK, f"{team_id}: {', '.join(good)}")
        for check in mine:
            if check.status is not Status.OK:
                detail = check.detail
                yield Check(check.name, team_id, check.status, f"{team_id}: {detail}", check.fix)


def _summary(checks: Sequence[Check]) -> str:
    failed = sum(check.status == "fail" for check in checks)
    warned = sum(check.status == "warn" for check in checks)
    if not failed and not warned:
        return f"All {len(checks)} checks are well."
    return f"{len(checks)} checks: {failed} failed, {warned} to look at."


@contextmanager
def _progress() -> Iterator[OnProgress]:
    """A bar on a terminal's standard error; nothing elsewhere, where a program reads."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn

    console = Console(stderr=True)
    bars = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    with bars:
        task = bars.add_task("Checking", total=None)

        def on_progress(done: int, of: int) -> None:
            bars.update(task, description="Checking teams", completed=done, total=of)

        yield on_progress

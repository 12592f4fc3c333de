"""What every command shares: results as a table or as JSON on standard output, warnings beside."""

from __future__ import annotations

import json as json_format
import shutil
import sys
import textwrap
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated

import typer

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]

_PIPE_WIDTH = 10_000
"""Columns when standard output is no terminal: nothing is cut for want of room."""

_NARROWEST = 40
"""Columns that are filled on a narrower terminal as well, which breaks the lines by itself."""


def emit(
    rows: Sequence[Mapping[str, object]], columns: Sequence[str], *, json: bool, title: str
) -> None:
    """Print a listing: a table, or a JSON list of objects with exactly these columns.

    In JSON, times and days are ISO 8601 texts and decimals are texts with all their digits.
    """
    chosen = [{column: row[column] for column in columns} for row in rows]
    if json:
        _print_json(chosen)
    else:
        _print_table(chosen, columns, title)


def emit_one(
    row: Mapping[str, object], columns: Sequence[str], *, json: bool, sentence: str
) -> None:
    """Print the result of a change: the sentence, or the changed thing as one JSON object."""
    if json:
        _print_json({column: row[column] for column in columns})
    else:
        typer.echo(sentence)


def warn(text: str) -> None:
    """Say something on standard error that does not stop the command."""
    typer.echo(f"Warning: {text}", err=True)


def compact_json(value: object) -> str:
    """A value as JSON on one line; times, days and decimals as in :func:`emit`."""
    return json_format.dumps(value, default=_as_json, ensure_ascii=False, allow_nan=False)


def decimal_text(value: Decimal) -> str:
    """All that a decimal says, without an exponent: ``1.50``, ``0.000004``, ``3``.

    Zeros at the end are left out beyond two decimals.
    """
    whole, point, decimals = f"{value:f}".partition(".")
    return f"{whole}{point}{decimals[:2]}{decimals[2:].rstrip('0')}"


def print_table(
    title: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: Collection[str] = (),
    totals: Sequence[Sequence[str]] = (),
) -> None:
    """Print cells that are texts already, below a rule the totals.

    Args:
        title: Above the table; none where empty.
        columns: The heads.
        rows: One text per column.
        right: The columns that are set flush right.
        totals: As ``rows``.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(title), title_justify="left")
    for column in columns:
        table.add_column(
            Text(column), justify="right" if column in right else "left", overflow="fold"
        )
    for row in rows:
        table.add_row(*map(Text, row))
    table.add_section()
    for row in totals:
        table.add_row(*map(Text, row))
    width = None if sys.stdout.isatty() else _PIPE_WIDTH
    Console(file=sys.stdout, width=width).print(table)


def print_entries(title: str, entries: Iterable[tuple[str, str]]) -> None:
    """Print a list whose texts are too long for a table's columns: head lines, details indented."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else _PIPE_WIDTH
    typer.echo(title)
    for head, detail in entries:
        for text, indent in ((head, ""), (detail, "    ")):
            for line in textwrap.wrap(
                as_text(text),
                max(width, _NARROWEST),
                initial_indent=indent,
                subsequent_indent="    ",
                break_on_hyphens=False,
            ):
                typer.echo(line)


def _print_json(value: object) -> None:
    typer.echo(
        json_format.dumps(value, default=_as_json, ensure_ascii=False, allow_nan=False, indent=2)
    )


def _as_json(value: object) -> str:
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal) and value.is_finite():
        return f"{value:f}"
    raise TypeError(f"{type(value).__name__} has no JSON form here")


def _print_table(rows: Sequence[Mapping[str, object]], columns: Sequence[str], title: str) -> None:
    numbers = [
        column
        for column in columns
        if any(isinstance(row[column], Decimal | int | float) for row in rows)
        and not any(isinstance(row[column], bool) for row in rows)
    ]
    cells = [[as_text(row[column]) for column in columns] for row in rows]
    print_table(title, columns, cells, right=numbers)


def as_text(value: object) -> str:
    """A value as a table shows it; whatever could steer the terminal is replaced."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="seconds")
    if isinstance(value, Decimal):
        return decimal_text(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={part}" for name, part in value.items())
    return "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in str(value)
    )

"""`finops query`: one SELECT on the published marts, and nothing else."""

from __future__ import annotations

import csv
import math
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated

import typer

from finops_pipeline import marts
from finops_pipeline.cli.output import JsonOption, compact_json, emit, warn
from finops_pipeline.cli.statement import checked, explained
from finops_pipeline.errors import UsageError
from finops_pipeline.settings import load_settings

if TYPE_CHECKING:
    import duckdb

ROWS_ON_SCREEN = 1000
"""Rows of a table for people, unless told otherwise; JSON and CSV have them all."""

_BATCH = 10_000


def query(
    sql: Annotated[
        str, typer.Argument(metavar="SQL", help="One SELECT; - reads it from standard input.")
    ],
    json: JsonOption = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV instead of a table.")] = False,
    max_rows: Annotated[
        int | None,
        typer.Option(
            "--max-rows",
            min=1,
            help=f"Print at most so many rows; without it, {ROWS_ON_SCREEN} in a table and all "
            "in JSON and CSV.",
        ),
    ] = None,
) -> None:
    """Run one SELECT on the published marts.

    They are opened read-only: the statement reaches no other file, no network and no setting.
    Times are UTC. In JSON and CSV decimals keep all their digits; in JSON they are texts.
    """
    if json and as_csv:
        raise UsageError("--json and --csv exclude each other.", "Give one of them.")
    text = sys.stdin.read() if sql == "-" else sql
    settings = load_settings()
    limit = settings.duckdb_memory_limit
    with (
        _ended_by_interrupt(),
        marts.connect(settings.marts_path, memory_limit=limit) as connection,
    ):
        rows = _Rows(connection, checked(connection, text), _limit(max_rows, json or as_csv))
        if json:
            _print_json(rows)
        elif as_csv:
            _print_csv(rows)
        else:
            _print_table(rows)
    if rows.were_cut:
        everything = "" if json or as_csv else " or --csv"
        warn(f"only the first {rows.limit:,} rows are shown; --max-rows N{everything} shows more.")


@contextmanager
def _ended_by_interrupt() -> Iterator[None]:
    """Let Ctrl-C end the process at once; a reader leaves nothing behind.

    DuckDB looks for interrupts between its steps only, and one step of a join can take hours.
    """
    former = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, former)


class _Rows:
    """The rows of a running statement, batch by batch, each value in a plain form."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, select: str, limit: int | None
    ) -> None:
        import duckdb

        self.limit = limit
        self.were_cut = False
        self._connection = connection
        try:
            connection.execute(select)
        except duckdb.Error as error:
            raise explained(error) from None
        self.columns = _unique([str(column[0]) for column in connection.description])

    def __iter__(self) -> Iterator[list[object]]:
        left = self.limit
        while batch := self._fetch():
            for row in batch:
                if left == 0:
                    self.were_cut = True
                    return
                yield [_plain(value) for value in row]
                left = None if left is None else left - 1

    def _fetch(self) -> Sequence[Sequence[object]]:
        import duckdb

        try:
            return self._connection.fetchmany(_BATCH)
        except duckdb.Error as error:
            raise explained(error) from None


def _limit(max_rows: int | None, takes_all: bool) -> int | None:
    return max_rows if max_rows is not None or takes_all else ROWS_ON_SCREEN


def _unique(names: Sequence[str]) -> list[str]:
    """Each name once, as a JSON object needs it: ``cost``, ``cost_1``, …"""
    unique: list[str] = []
    for name in names:
        candidate, number = name, 0
        while candidate in unique:
            number += 1
            candidate = f"{name}_{number}"
        unique.append(candidate)
    return unique


def _plain(value: object) -> object:
    """The value as JSON, CSV and a table can have it; times in UTC, decimals untouched."""
    match value:
        case datetime() if value.tzinfo:
            plain: object = value.astimezone(UTC)
        case float() if not math.isfinite(value):
            plain = str(value)
        case None | bool() | int() | float() | str() | Decimal() | date():
            plain = value
        case bytes():
            plain = value.hex()
        case list() | tuple():
            plain = [_plain(part) for part in value]
        case dict():
            plain = {str(name): _plain(part) for name, part in value.items()}
        case _:
            plain = str(value)
    return plain


def _print_table(rows: _Rows) -> None:
    listed = [dict(zip(rows.columns, map(_table_cell, row), strict=True)) for row in rows]
    if listed:
        emit(listed, rows.columns, json=False, title="")
    else:
        typer.echo(f"No rows ({', '.join(rows.columns)}).")


def _table_cell(value: object) -> object:
    return compact_json(value) if isinstance(value, list | dict) else value


def _print_json(rows: _Rows) -> None:
    separator = "["
    for row in rows:
        thing = dict(zip(rows.columns, row, strict=True))
        sys.stdout.write(f"{separator}\n{compact_json(thing)}")
        separator = ","
    sys.stdout.write("[]\n" if separator == "[" else "\n]\n")


def _print_csv(rows: _Rows) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(rows.columns)
    for row in rows:
        writer.writerow([_csv_cell(value) for value in row])


def _csv_cell(value: object) -> object:
    match value:
        case Decimal():
            return f"{value:f}"
        case bool():
            return "true" if value else "false"
        case date():
            return value.isoformat()
        case list() | dict():
            return compact_json(value)
        case _:
            return value

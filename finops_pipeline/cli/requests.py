"""`finops requests`: logs of calls handed in, listed, or only checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from finops_pipeline.cli.opened import opened_registry
from finops_pipeline.cli.output import JsonOption, as_text, emit, emit_one, print_table, warn
from finops_pipeline.cli.run import PARTIAL
from finops_pipeline.errors import FinopsError, UsageError
from finops_pipeline.settings import Settings, load_settings

if TYPE_CHECKING:
    from finops_pipeline.ingestion.request_outcome import FileOutcome, RequestLanding
    from finops_pipeline.request_logs import Rejection

app = typer.Typer(
    no_args_is_help=True,
    help="Requests as applications logged them: hand in files, list them, check them.",
)

SHOWN_LINES = 10
"""Of each file, in a table; JSON has up to a hundred."""

COLUMNS = (
    "file_name",
    "status",
    "row_count",
    "new_count",
    "duplicate_count",
    "conflict_count",
    "rejected_count",
    "first_day",
    "last_day",
    "error",
)
LISTED = ("landed_at", *COLUMNS)
_CHECKED = ("file_name", "row_count", "rejected_count", "error")

Paths = Annotated[
    list[Path],
    typer.Argument(
        metavar="PATH...",
        help="Files (.jsonl, .jsonl.gz, .parquet), or folders: all such files in and below them.",
    ),
]


@app.command("load")
def load(
    paths: Paths,
    build: Annotated[
        bool,
        typer.Option("--build/--no-build", help="Build and publish afterwards."),
    ] = True,
    json: JsonOption = False,
) -> None:
    """Land the requests of files that have not landed yet, then build and publish.

    What is wrong with a file or a line is reported; everything else lands.
    """
    settings = load_settings()
    files = _files(paths)
    opened_registry().close()  # says so at once where there is none

    from finops_pipeline.cli.progress import run_progress
    from finops_pipeline.orchestration import Pipeline
    from finops_pipeline.orchestration.instance import open_instance
    from finops_pipeline.orchestration.run import Runner

    with run_progress() as progress:
        with progress.phase("Starting"):
            pipeline = replace(
                Pipeline.from_settings(settings),
                request_files=lambda: files,
                on_requests=progress.landing,
                on_node=progress.node_finished,
            )
            pipeline.warehouse.ensure_folder()
            runner = Runner(pipeline, open_instance(settings))
        with progress.phase("Landing request logs"):
            landing = runner.load_requests()
        # Also where nothing is new: what landed before may wait for a build that broke off.
        built = build and _any_readable(landing.files)
        if built:
            with progress.phase("Building and publishing"):
                runner.build()
    _report(settings, landing, built=built, json=json)


@app.command("list")
def list_files(json: JsonOption = False) -> None:
    """List every reading of a file of request logs, the oldest first."""
    from finops_pipeline.ingestion.request_ledger import request_files
    from finops_pipeline.warehouse import Warehouse

    entries = request_files(Warehouse.from_settings(load_settings()))
    emit(entries, LISTED, json=json, title="Files of request logs")


@app.command("check")
def check(paths: Paths, json: JsonOption = False) -> None:
    """Check files against the schema of a line, and land nothing."""
    from finops_pipeline.cli.progress import run_progress
    from finops_pipeline.ingestion.request_outcome import FileOutcome
    from finops_pipeline.request_logs import UnreadableFileError, name_of, opened

    checked: list[FileOutcome] = []
    with run_progress() as progress:
        for path in _files(paths):
            file = FileOutcome(name_of(path, None))
            with progress.phase(f"Checking {as_text(path.name)}"):
                try:
                    with opened(path, file.name) as log:
                        for part in log.parsed():
                            file.new += part.requests.num_rows
                            file.reject(part.rejections, part.rejected)
                except UnreadableFileError as error:
                    file.error = str(error)
            checked.append(file)
    _print(checked, _CHECKED, {}, json=json)
    _end(checked)


def _files(paths: Sequence[Path]) -> list[Path]:
    """The files to read.

    Raises:
        UsageError: a path does not exist, or the folders hold no such file.
    """
    from finops_pipeline.request_logs import SUFFIXES, log_files

    for path in paths:
        if not path.exists():
            raise UsageError(f"There is no file or folder {path}.", "Nothing was read.")
    files = log_files(paths)
    if not files:
        raise UsageError(
            f"In {', '.join(map(str, paths))} lies no file whose name ends in "
            f"{', '.join(SUFFIXES)}.",
            "Name other files or folders.",
        )
    return files


def _any_readable(files: Sequence[FileOutcome]) -> bool:
    return not all(file.error and not file.rows for file in files)


def _end(files: Sequence[FileOutcome]) -> None:
    """End a command that read files, whether it landed them or checked them.

    Raises:
        typer.Exit: with 3 where a line or a file was left out, or a project is not registered.
        FinopsError: no file could be read.
    """
    if not _any_readable(files):
        raise FinopsError("No file could be read.", "Mend what is named above, then try again.")
    if not all(file.is_whole for file in files):
        raise typer.Exit(PARTIAL)


def _report(settings: Settings, landing: RequestLanding, *, built: bool, json: bool) -> None:
    """Print what was landed, and end."""
    result = {
        "run_id": landing.run_id,
        "unregistered_projects": landing.unregistered,
        "published": str(settings.marts_path) if built else None,
    }
    _print(landing.files, COLUMNS, result, json=json)
    if not json and built:
        typer.echo(f"Published {settings.marts_path}.")
    if not json and landing.new and not built:
        typer.echo("`finops build` brings them into the published marts.")
    if landing.unregistered:
        warn(
            "requests of OpenAI projects that are registered nowhere landed, and stay unallocated "
            f"until somebody registers them: {', '.join(map(as_text, landing.unregistered))}"
        )
    _end(landing.files)


def _print(
    files: Sequence[FileOutcome],
    columns: Sequence[str],
    result: Mapping[str, object],
    *,
    json: bool,
) -> None:
    rows = [_row(file) for file in files]
    if json:
        shown = [
            {column: row[column] for column in columns} | {"lines": [*map(_line, file.lines)]}
            for row, file in zip(rows, files, strict=True)
        ]
        emit_one({"files": shown, **result}, ("files", *result), json=True, sentence="")
        return
    emit(rows, columns, json=False, title="Files of request logs")
    for file in files:
        if file.lines:
            print_table(
                f"Lines that were left out of {as_text(file.name)}"
                + (f", the first {SHOWN_LINES}" if len(file.lines) > SHOWN_LINES else ""),
                ["line", "sha256", "reason"],
                [
                    [str(line.line_number), line.line_hash, line.reason]
                    for line in file.lines[:SHOWN_LINES]
                ],
                right=["line"],
            )


def _row(file: FileOutcome) -> dict[str, object]:
    return {
        "file_name": file.name,
        "status": "landed before" if file.landed_before else file.status.value,
        "row_count": file.rows,
        "new_count": file.new,
        "duplicate_count": file.duplicates,
        "conflict_count": file.conflicts,
        "rejected_count": file.rejected,
        "first_day": file.first_day,
        "last_day": file.last_day,
        "error": file.error,
    }


def _line(line: Rejection) -> dict[str, object]:
    return {"line": line.line_number, "sha256": line.line_hash, "reason": line.reason}

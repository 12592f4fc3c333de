"""`finops housekeeping`: what the scheduled job does, for those whom cron serves."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from finops_pipeline.cli.output import JsonOption, emit_one
from finops_pipeline.settings import load_settings


def housekeeping(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be deleted.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Delete incomplete loads, old Dagster runs and what dead processes left behind."""
    settings = load_settings()

    from finops_pipeline.orchestration import Pipeline
    from finops_pipeline.orchestration.housekeeping import in_words, sweep
    from finops_pipeline.orchestration.instance import open_instance

    pipeline = Pipeline.from_settings(settings)
    pipeline.warehouse.ensure_folder()
    swept = sweep(pipeline, open_instance(settings), dry_run=dry_run)
    result = asdict(swept) | {"dry_run": dry_run}
    emit_one(result, tuple(result), json=json, sentence=in_words(swept, dry_run=dry_run))

"""Request logs as an asset: one run lands every file that waits, and tells of each day in them."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path

import dagster as dg

from finops_pipeline.errors import FinopsError
from finops_pipeline.ingestion.request_files import land_request_files
from finops_pipeline.ingestion.request_ledger import waiting_files
from finops_pipeline.ingestion.request_outcome import (
    FileOutcome,
    LandedDay,
    RequestLanding,
    RequestProgress,
    in_words,
)
from finops_pipeline.orchestration.asset_keys import REQUESTS_KEY
from finops_pipeline.orchestration.instance import enter_run, fail_dead_runs
from finops_pipeline.orchestration.jobs import LOAD_REQUESTS, UNDER_WAY
from finops_pipeline.orchestration.partitions import daily_partitions_with_today
from finops_pipeline.orchestration.pipeline import Pipeline
from finops_pipeline.orchestration.resuming import range_tags
from finops_pipeline.request_logs import look_at

REQUESTS_OP = "requests"
EVERY_LINE = "every_line_landed"

_FILES_TAG = "finops/request_files"
_TRIES = 3
"""Files that cannot be read are tried so often, then when anything in the folder has changed."""

_SECONDS_BETWEEN_WORDS = 10.0
_PATIENCE_SECONDS = 10.0
"""Dagster gives a sensor's evaluation a minute."""

_DESCRIPTION = """\
Calls as applications logged them, from the files in `FINOPS_REQUEST_LOGS_DIR` and those of `finops
requests load`. The UTC day of a call is its partition, and files may span days.

Materializing any day lands every file that waits, and shows as materialized the days that got
requests by it. The same file or call lands once. Users are pseudonyms.
"""


def build_requests_asset(pipeline: Pipeline) -> dg.AssetsDefinition:
    """The asset ``raw/requests`` with its check."""

    @dg.multi_asset(
        name=REQUESTS_OP,
        specs=[
            dg.AssetSpec(
                REQUESTS_KEY,
                description=_DESCRIPTION,
                group_name="raw",
                kinds={"python", "dlt", "duckdb"},
                skippable=True,
            )
        ],
        check_specs=[
            dg.AssetCheckSpec(
                EVERY_LINE,
                asset=REQUESTS_KEY,
                description="Every file of the run was read to its end, every line taken over.",
            )
        ],
        partitions_def=daily_partitions_with_today(pipeline.settings.start_date),
        backfill_policy=dg.BackfillPolicy.single_run(),
        config_schema={},
    )
    def requests(context: dg.AssetExecutionContext) -> Iterator[dg.AssetCheckResult]:
        enter_run(context.instance, context.run.run_id)
        try:
            with pipeline.open_registry(context.run.run_id) as registry:
                landing = land_request_files(
                    _files(pipeline),
                    warehouse=pipeline.warehouse,
                    registry=registry,
                    run_id=context.run.run_id,
                    folder=pipeline.settings.request_logs_dir,
                    on_progress=_Reporter(pipeline, context),
                    on_landed=lambda days: _tell_of(days, context),
                )
        except FinopsError as error:
            raise dg.Failure(str(error), allow_retries=False) from error
        pipeline.on_requests_landed(landing)
        yield _every_line(landing)

    return requests


def _files(pipeline: Pipeline) -> Sequence[Path]:
    if pipeline.request_files is not None:
        return pipeline.request_files()
    folder = pipeline.settings.request_logs_dir
    if folder is None:
        raise FinopsError(
            "No folder of request logs is watched.",
            "Set FINOPS_REQUEST_LOGS_DIR, or hand files in with `finops requests load`.",
        )
    return waiting_files(pipeline.warehouse, folder, pipeline.now())


def _tell_of(days: Mapping[date, LandedDay], context: dg.AssetExecutionContext) -> None:
    """At once, so that a run that is killed has told the truth about what it landed."""
    for day, landed in days.items():
        metadata = {
            "rows": landed.requests,
            "files": landed.files,
            "duplicates": landed.duplicates,
            "rejected": landed.rejected,
        }
        event: dg.AssetMaterialization | dg.AssetObservation
        partition = day.isoformat()
        if context.assets_def.partitions_def.has_partition_key(partition):
            event = dg.AssetMaterialization(REQUESTS_KEY, partition=partition, metadata=metadata)
        else:  # of a time before the first partition, or of a clock that is ahead
            event = dg.AssetObservation(REQUESTS_KEY, metadata={"day": partition, **metadata})
        context.log_event(event)


class _Reporter:
    """Passes progress on, and now and then into the event log."""

    def __init__(self, pipeline: Pipeline, context: dg.AssetExecutionContext) -> None:
        self._pipeline = pipeline
        self._context = context
        self._next_word = _SECONDS_BETWEEN_WORDS

    def __call__(self, progress: RequestProgress) -> None:
        self._pipeline.on_requests(progress)
        if progress.seconds >= self._next_word:
            self._next_word = progress.seconds + _SECONDS_BETWEEN_WORDS
            self._context.log.info(in_words(progress))


def _every_line(landing: RequestLanding) -> dg.AssetCheckResult:
    """The check: a warning, because what is good has landed."""
    read = [file for file in landing.files if not file.landed_before]
    wrong = [file for file in read if file.lines or file.error]
    unregistered = landing.unregistered
    said = (
        f"{len(wrong)} of {len(read)} files have lines that were not taken over, or could not be "
        "read to their end."
        if wrong
        else f"Every line of {len(read)} files was taken over."
    )
    if unregistered:
        said += (
            f" Requests of {len(unregistered)} OpenAI projects that are registered nowhere landed "
            f"as well: {', '.join(unregistered[:10])}."
        )
    return dg.AssetCheckResult(
        asset_key=REQUESTS_KEY,
        check_name=EVERY_LINE,
        passed=not wrong,
        severity=dg.AssetCheckSeverity.WARN,
        description=said,
        metadata={
            "rows": landing.new,
            "duplicates": sum(file.duplicates for file in landing.files),
            "conflicts": sum(file.conflicts for file in read),
            "rejected": sum(file.rejected for file in read),
            "files_landed_before": len(landing.files) - len(read),
        }
        | ({"lines": _table(wrong)} if wrong else {}),
    )


def _table(files: Sequence[FileOutcome]) -> dg.TableMetadataValue:
    """Lines by file, number, hash and reason; never with anything of their content."""
    records = [
        dg.TableRecord(
            {
                "file": file.name,
                "line": line.line_number,
                "sha256": line.line_hash,
                "reason": line.reason,
            }
        )
        for file in files
        for line in file.lines
    ] + [
        dg.TableRecord({"file": file.name, "line": 0, "sha256": "", "reason": file.error})
        for file in files
        if file.error
    ]
    return dg.MetadataValue.table(
        records,
        schema=dg.TableSchema(
            [
                dg.TableColumn("file", "string"),
                dg.TableColumn("line", "int"),
                dg.TableColumn("sha256", "string"),
                dg.TableColumn("reason", "string"),
            ]
        ),
    )


def build_requests_sensor(
    pipeline: Pipeline, status: dg.DefaultSensorStatus
) -> dg.SensorDefinition:
    """The sensor ``load_waiting_requests``."""

    @dg.sensor(
        name="load_waiting_requests",
        job_name=LOAD_REQUESTS,
        default_status=status,
        minimum_interval_seconds=60,
        description=(
            "Lands files of request logs once they lie in FINOPS_REQUEST_LOGS_DIR unchanged for a "
            "minute."
        ),
    )
    def load_waiting_requests(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        folder, now = pipeline.settings.request_logs_dir, pipeline.now()
        if folder is None:
            return dg.SkipReason("FINOPS_REQUEST_LOGS_DIR is not set.")
        instance = context.instance
        fail_dead_runs(instance)
        if instance.get_runs_count(dg.RunsFilter(job_name=LOAD_REQUESTS, statuses=UNDER_WAY)):
            return dg.SkipReason("Request logs are being landed.")
        try:
            warehouse = pipeline.warehouse.with_patience(_PATIENCE_SECONDS)
            waiting = waiting_files(warehouse, folder, now)
        except FinopsError as error:
            return dg.SkipReason(str(error))
        if not waiting:
            return dg.SkipReason(f"No file waits in {folder}.")
        which = {_FILES_TAG: _digest(waiting)}
        tries = instance.get_runs_count(dg.RunsFilter(job_name=LOAD_REQUESTS, tags=which))
        if tries >= _TRIES:
            return dg.SkipReason(
                f"{len(waiting)} files could not be read in {tries} tries, the first "
                f"{waiting[0].name}. They are tried again once anything in the folder changes."
            )
        return dg.RunRequest(tags={**range_tags(now.date(), now.date()), **which})

    return load_waiting_requests


def _digest(files: Sequence[Path]) -> str:
    """The same as long as the same files wait and none was changed."""
    found = [look_at(path, str(path)) for path in files if path.exists()]
    return hashlib.sha256(repr(found).encode()).hexdigest()[:32]

"""Everything Dagster knows, put together."""

from __future__ import annotations

import dagster as dg

from finops_pipeline.orchestration.housekeeping import build_housekeeping_job
from finops_pipeline.orchestration.jobs import (
    build_after_collecting,
    build_job,
    collect_job,
    collect_legacy_job,
    load_requests_job,
)
from finops_pipeline.orchestration.legacy import build_legacy_asset
from finops_pipeline.orchestration.marts import (
    build_model_assets,
    build_published_asset,
    registry_asset,
)
from finops_pipeline.orchestration.pipeline import Pipeline
from finops_pipeline.orchestration.prices import build_price_checks, prices_asset
from finops_pipeline.orchestration.raw import build_raw_assets
from finops_pipeline.orchestration.repair import build_repair_sensor
from finops_pipeline.orchestration.requests import build_requests_asset, build_requests_sensor
from finops_pipeline.orchestration.schedules import build_schedules


def build_definitions(pipeline: Pipeline, *, console_level: str = "INFO") -> dg.Definitions:
    """The definitions over one pipeline; needs no network, no key and no existing warehouse.

    Everything runs in the run's own process: starting processes costs more than the work of a
    day. What Dagster would otherwise let a run configure (executor, log, IO manager) is fixed, so
    that a run chooses days, teams and endpoints and nothing else.

    Args:
        console_level: Threshold of what a run prints; its event log holds everything.
    """
    models, views = build_model_assets(pipeline)
    # Off by default, because whoever has cron run `finops run` needs none of them.
    by_itself = pipeline.settings.schedules_enabled
    return dg.Definitions(
        assets=[
            build_raw_assets(pipeline),
            build_legacy_asset(pipeline),
            build_requests_asset(pipeline),
            registry_asset(),
            prices_asset(),
            models,
            *views,
            build_published_asset(pipeline, models),
        ],
        asset_checks=[build_price_checks(pipeline)],
        jobs=[
            collect_job(),
            collect_legacy_job(),
            load_requests_job(),
            build_job(),
            build_housekeeping_job(pipeline),
        ],
        schedules=build_schedules(
            pipeline,
            dg.DefaultScheduleStatus.RUNNING if by_itself else dg.DefaultScheduleStatus.STOPPED,
        ),
        sensors=[
            build_after_collecting,
            *(
                build(
                    pipeline,
                    dg.DefaultSensorStatus.RUNNING if by_itself else dg.DefaultSensorStatus.STOPPED,
                )
                for build in (build_repair_sensor, build_requests_sensor)
            ),
        ],
        executor=_in_process(),
        loggers={
            "console": dg.colored_console_logger.configured(
                lambda _: {"log_level": console_level}, config_schema={}
            )
        },
        resources={"io_manager": _in_memory()},
    )


def _in_process() -> dg.ExecutorDefinition:
    fixed: dg.ExecutorDefinition = dg.in_process_executor.configured(
        lambda _: {}, name="in_process", config_schema={}
    )
    return fixed


def _in_memory() -> dg.IOManagerDefinition:
    """Nothing passes between assets; Dagster's own would take a folder from the run's config."""
    return dg.IOManagerDefinition(
        lambda _: dg.InMemoryIOManager(),  # type: ignore[no-untyped-call]
        config_schema={},
    )

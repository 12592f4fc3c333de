"""Everything Dagster knows, put together."""

from __future__ import annotations

import dagster as dg

from finops_pipeline.orchestration.costs import build_costs_asset
from finops_pipeline.orchestration.jobs import build_after_collecting, build_job, collect_job
from finops_pipeline.orchestration.marts import (
    build_models_asset,
    build_published_asset,
    registry_asset,
)
from finops_pipeline.orchestration.pipeline import Pipeline


def build_definitions(pipeline: Pipeline) -> dg.Definitions:
    """The definitions over one pipeline; needs no network, no key and no existing warehouse.

    Everything runs in the run's own process: starting processes costs more than the work of a
    day.
    """
    models = build_models_asset(pipeline)
    return dg.Definitions(
        assets=[
            build_costs_asset(pipeline),
            registry_asset(),
            models,
            build_published_asset(pipeline, models),
        ],
        jobs=[collect_job(), build_job()],
        sensors=[build_after_collecting],
        executor=dg.in_process_executor,
        resources={"io_manager": _in_memory()},
    )


def _in_memory() -> dg.IOManagerDefinition:
    """Nothing passes between assets; Dagster's own would take a folder from the run's config."""
    return dg.IOManagerDefinition(
        lambda _: dg.InMemoryIOManager(),  # type: ignore[no-untyped-call]
        config_schema={},
    )

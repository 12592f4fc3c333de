"""The Dagster entry point: everything that the UI, the daemon and the schedules see."""

from finops_pipeline.orchestration import Pipeline, build_definitions
from finops_pipeline.settings import load_settings

defs = build_definitions(Pipeline.from_settings(load_settings()))

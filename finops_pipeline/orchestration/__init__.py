"""Dagster: assets, checks, jobs, schedules and sensors over the pipeline's own code."""

from finops_pipeline.orchestration.build import build_definitions
from finops_pipeline.orchestration.pipeline import Pipeline

__all__ = ["Pipeline", "build_definitions"]

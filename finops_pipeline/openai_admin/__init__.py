"""OpenAI's organization API: costs, usage and projects, strictly paged, as Arrow.

Knows no database, no scheduler and no registry: it takes a base URL and a way to get the key.
"""

from __future__ import annotations

from finops_pipeline.openai_admin.arrow import COSTS_SCHEMA, ONE_PAGE_AT_A_TIME
from finops_pipeline.openai_admin.client import AdminClient
from finops_pipeline.openai_admin.costs import CostsBucket, CostsPage
from finops_pipeline.openai_admin.errors import OpenAIError, Reason
from finops_pipeline.openai_admin.legacy import LegacyClient, Pacer
from finops_pipeline.openai_admin.legacy_rows import LEGACY_USAGE_SCHEMA
from finops_pipeline.openai_admin.projects import Project
from finops_pipeline.openai_admin.transport import RetryPolicy
from finops_pipeline.openai_admin.usage import (
    ENDPOINTS,
    Endpoint,
    UsageBucket,
    UsageEndpoint,
    UsagePage,
)
from finops_pipeline.openai_admin.usage_rows import MEASURES, USAGE_SCHEMA

__all__ = [
    "COSTS_SCHEMA",
    "ENDPOINTS",
    "LEGACY_USAGE_SCHEMA",
    "MEASURES",
    "ONE_PAGE_AT_A_TIME",
    "USAGE_SCHEMA",
    "AdminClient",
    "CostsBucket",
    "CostsPage",
    "Endpoint",
    "LegacyClient",
    "OpenAIError",
    "Pacer",
    "Project",
    "Reason",
    "RetryPolicy",
    "UsageBucket",
    "UsageEndpoint",
    "UsagePage",
]

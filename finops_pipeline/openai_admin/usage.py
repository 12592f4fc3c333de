"""Reading the usage endpoints: what each can be grouped by, and what it measures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Literal

from finops_pipeline.openai_admin.paging import BucketPage, BucketReader, DayBucket, Source
from finops_pipeline.openai_admin.transport import Transport
from finops_pipeline.openai_admin.usage_rows import TOKEN_MEASURES, decode_usage

UsageEndpoint = Literal[
    "completions",
    "embeddings",
    "moderations",
    "images",
    "audio_speeches",
    "audio_transcriptions",
    "vector_stores",
    "code_interpreter_sessions",
    "file_search_calls",
    "web_search_calls",
]

MAX_BUCKETS = 31
"""Most daily buckets that the usage endpoints take as ``limit``; one more is a 400."""

UsageBucket = DayBucket
"""A day's usage of one endpoint; its rows have :data:`USAGE_SCHEMA`."""

UsagePage = BucketPage
"""A page of one endpoint's usage."""


@dataclass(frozen=True)
class Endpoint:
    """A usage endpoint as OpenAI documents it.

    Attributes:
        path: Below the base URL.
        group_by: Every dimension that it can be grouped by; all of them are asked for.
        measures: The measures of :data:`USAGE_SCHEMA` that it gives; the others stay null.
    """

    path: str
    group_by: tuple[str, ...]
    measures: tuple[str, ...]


_BY_KEY = ("project_id", "user_id", "api_key_id")
_BY_MODEL = (*_BY_KEY, "model")

ENDPOINTS: dict[UsageEndpoint, Endpoint] = {
    "completions": Endpoint(
        "/organization/usage/completions",
        (*_BY_MODEL, "batch", "service_tier"),
        (*TOKEN_MEASURES, "num_model_requests"),
    ),
    "embeddings": Endpoint(
        "/organization/usage/embeddings", _BY_MODEL, ("input_tokens", "num_model_requests")
    ),
    "moderations": Endpoint(
        "/organization/usage/moderations", _BY_MODEL, ("input_tokens", "num_model_requests")
    ),
    "images": Endpoint(
        "/organization/usage/images",
        (*_BY_MODEL, "size", "source"),
        ("images", "num_model_requests"),
    ),
    "audio_speeches": Endpoint(
        "/organization/usage/audio_speeches", _BY_MODEL, ("characters", "num_model_requests")
    ),
    "audio_transcriptions": Endpoint(
        "/organization/usage/audio_transcriptions", _BY_MODEL, ("seconds", "num_model_requests")
    ),
    "vector_stores": Endpoint(
        "/organization/usage/vector_stores", ("project_id",), ("usage_bytes",)
    ),
    "code_interpreter_sessions": Endpoint(
        "/organization/usage/code_interpreter_sessions", ("project_id",), ("num_sessions",)
    ),
    "file_search_calls": Endpoint(
        "/organization/usage/file_search_calls", (*_BY_KEY, "vector_store_id"), ("num_requests",)
    ),
    "web_search_calls": Endpoint(
        "/organization/usage/web_search_calls",
        (*_BY_MODEL, "context_level"),
        ("num_requests", "num_model_requests"),
    ),
}
"""All usage endpoints, by the name that their rows carry in the warehouse."""


def read_usage(
    transport: Transport,
    endpoint: UsageEndpoint,
    start: date,
    end: date,
    *,
    rows_per_bucket: int | None,
) -> Iterator[UsagePage]:
    """One pass over one endpoint's usage of a range; see :meth:`AdminClient.usage`."""
    known = ENDPOINTS[endpoint]
    title = f"usage of {endpoint.replace('_', ' ')}"
    source = Source(known.path, title, MAX_BUCKETS, decode_usage, optional=True)
    reader = BucketReader(transport, source, rows_per_bucket=rows_per_bucket)
    yield from reader.read(start, end, known.group_by)

"""The raw tables, column by column. All of them are append-only and immutable.

A row counts only if ``_dlt_load_id``, which dlt adds, is a complete load in ``_dlt_loads``.
"""

from __future__ import annotations

import pyarrow as pa

from finops_pipeline.openai_admin import COSTS_SCHEMA, LEGACY_USAGE_SCHEMA, USAGE_SCHEMA
from finops_pipeline.request_logs import REQUEST_COLUMNS

TIMESTAMP = pa.timestamp("us", tz="UTC")
MONEY = pa.decimal128(38, 18)

COLLECTIONS = pa.schema(
    [
        pa.field("collection_id", pa.string(), nullable=False),
        pa.field("run_id", pa.string(), nullable=False),
        pa.field("team_id", pa.string(), nullable=False),
        pa.field("endpoint", pa.string(), nullable=False),
        pa.field("cost_date", pa.date32(), nullable=False),
        ("key_id", pa.string()),
        ("key_fingerprint", pa.string()),
        ("organization_id", pa.string()),
        pa.field("status", pa.string(), nullable=False),
        pa.field("collected_at", TIMESTAMP, nullable=False),
        ("row_count", pa.int64()),
        ("cost", MONEY),
        ("currency", pa.string()),
        ("content_hash", pa.string()),
        ("revision_id", pa.string()),
        ("query_signature", pa.string()),
        ("unknown_fields", pa.string()),
        ("error", pa.string()),
    ]
)
"""The ledger: one row per reading of a (team, endpoint, day) bucket.

``cost`` is the sum of the bucket's amounts, 0 for an empty bucket, null where the reading failed
or found several currencies, and for usage. ``organization_id`` is what this very answer named, if
it did.
"""

COSTS = pa.schema(
    [
        pa.field("revision_id", pa.string(), nullable=False),
        pa.field("team_id", pa.string(), nullable=False),
        pa.field("cost_date", pa.date32(), nullable=False),
        *COSTS_SCHEMA,
    ]
)
"""The rows of each revision, as they came; duplicates are added up later."""

USAGE = pa.schema(
    [
        pa.field("revision_id", pa.string(), nullable=False),
        pa.field("team_id", pa.string(), nullable=False),
        pa.field("cost_date", pa.date32(), nullable=False),
        pa.field("endpoint", pa.string(), nullable=False),
        *USAGE_SCHEMA,
    ]
)
"""The rows of each revision of all usage endpoints; ``user_id`` is a pseudonym.

What an endpoint is not grouped by and does not measure is null.
"""

LEGACY_USAGE = pa.schema(
    [
        pa.field("revision_id", pa.string(), nullable=False),
        pa.field("team_id", pa.string(), nullable=False),
        pa.field("cost_date", pa.date32(), nullable=False),
        pa.field("endpoint", pa.string(), nullable=False),
        pa.field("key_project_id", pa.string(), nullable=False),
        *LEGACY_USAGE_SCHEMA,
    ]
)
"""The rows of each revision of what a team's project keys told of the legacy endpoint.

``key_project_id`` is the OpenAI project that the answering key is registered for, whatever project
a row names. The ledger's ``query_signature`` lists those that were asked, comma-joined.
"""

OPENAI_PROJECTS = pa.schema(
    [
        pa.field("team_id", pa.string(), nullable=False),
        pa.field("key_fingerprint", pa.string(), nullable=False),
        pa.field("project_id", pa.string(), nullable=False),
        ("project_name", pa.string()),
        ("status", pa.string()),
        ("created_at", TIMESTAMP),
        ("archived_at", TIMESTAMP),
        pa.field("collected_at", TIMESTAMP, nullable=False),
    ]
)
"""OpenAI's own project names, appended when new or changed."""

REQUESTS = pa.schema(
    [
        pa.field("file_id", pa.string(), nullable=False),
        pa.field("line_number", pa.int64(), nullable=False),
        pa.field("landed_at", TIMESTAMP, nullable=False),
        pa.field("cost_date", pa.date32(), nullable=False),
        *REQUEST_COLUMNS,
        pa.field("content_hash", pa.string(), nullable=False),
    ]
)
"""Logged requests, as applications handed them in; ``user_id`` is a pseudonym.

``cost_date`` is the UTC day of ``requested_at``. Cached, audio and image tokens are contained in
input and output. A request that two loads landed counts once, as it landed first.
"""

REQUEST_FILES = pa.schema(
    [
        ("file_id", pa.string()),
        pa.field("file_name", pa.string(), nullable=False),
        ("size_bytes", pa.int64()),
        ("modified_at", TIMESTAMP),
        pa.field("run_id", pa.string(), nullable=False),
        pa.field("landed_at", TIMESTAMP, nullable=False),
        pa.field("status", pa.string(), nullable=False),
        pa.field("row_count", pa.int64(), nullable=False),
        pa.field("new_count", pa.int64(), nullable=False),
        pa.field("duplicate_count", pa.int64(), nullable=False),
        pa.field("conflict_count", pa.int64(), nullable=False),
        pa.field("rejected_count", pa.int64(), nullable=False),
        ("first_day", pa.date32()),
        ("last_day", pa.date32()),
        ("error", pa.string()),
        ("lines", pa.string()),
    ]
)
"""Their files: one row per reading of a file, written with the last of its rows.

``file_id`` is the SHA-256 of the file's bytes. It is null where the file could not be opened, as
are size and change. ``row_count`` counts the lines that are not blank. ``lines`` are the first that
were not taken over, as JSON: number, SHA-256 and reason.
"""

RAW_TABLES = {
    "costs": COSTS,
    "usage": USAGE,
    "legacy_usage": LEGACY_USAGE,
    "collections": COLLECTIONS,
    "openai_projects": OPENAI_PROJECTS,
    "requests": REQUESTS,
    "request_files": REQUEST_FILES,
}

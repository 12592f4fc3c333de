"""The raw tables, column by column. All of them are append-only and immutable.

A row counts only if ``_dlt_load_id``, which dlt adds, is a complete load in ``_dlt_loads``.
"""

from __future__ import annotations

import pyarrow as pa

from finops_pipeline.openai_admin import COSTS_SCHEMA, USAGE_SCHEMA

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

RAW_TABLES = {
    "costs": COSTS,
    "usage": USAGE,
    "collections": COLLECTIONS,
    "openai_projects": OPENAI_PROJECTS,
}

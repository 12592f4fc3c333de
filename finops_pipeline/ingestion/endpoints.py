"""The endpoints that answer for days: what of them lands where."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial

import pyarrow as pa

from finops_pipeline.ingestion.content import (
    COSTS_CONTENT,
    LEGACY_CONTENT,
    USAGE_CONTENT,
    content_hashes,
)
from finops_pipeline.ingestion.tables import COSTS, LEGACY_USAGE, USAGE
from finops_pipeline.openai_admin import (
    ENDPOINTS,
    AdminClient,
    CostsPage,
    UsageEndpoint,
    UsagePage,
)


@dataclass(frozen=True, eq=False)
class BucketTable:
    """Where the (team, day) buckets of an endpoint land.

    Attributes:
        name: As in the ledger's column ``endpoint``.
        table: The raw table that its rows land in.
        schema: That table's columns, without ``_dlt_load_id``.
        content_hashes: Of the rows of some buckets and how many each has: when two readings of a
            bucket say the same.
    """

    name: str
    table: str
    schema: pa.Schema
    content_hashes: Callable[[pa.RecordBatch, Sequence[int]], list[str]]


@dataclass(frozen=True, eq=False)
class BucketEndpoint(BucketTable):
    """An endpoint of the organization API, which an admin key reads in ranges of days.

    Attributes:
        read: Reads the days from a first one to another (exclusive) through a client; the last
            argument is the number of rows that a day of this team seldom exceeds.
    """

    read: Callable[[AdminClient, date, date, int | None], Iterator[CostsPage | UsagePage]]


def _read_costs(
    client: AdminClient, start: date, end: date, rows_per_bucket: int | None
) -> Iterator[CostsPage]:
    return client.costs(start, end, rows_per_bucket=rows_per_bucket)


def _usage(name: UsageEndpoint) -> BucketEndpoint:
    def read(
        client: AdminClient, start: date, end: date, rows_per_bucket: int | None
    ) -> Iterator[UsagePage]:
        return client.usage(name, start, end, rows_per_bucket=rows_per_bucket)

    hashes = partial(content_hashes, columns=USAGE_CONTENT, sparse=True)
    return BucketEndpoint(name, "usage", USAGE, hashes, read)


COSTS_ENDPOINT = BucketEndpoint(
    "costs", "costs", COSTS, partial(content_hashes, columns=COSTS_CONTENT), _read_costs
)

USAGE_ENDPOINTS = tuple(_usage(name) for name in ENDPOINTS)

ALL_ENDPOINTS = (COSTS_ENDPOINT, *USAGE_ENDPOINTS)
"""In the order in which a team's are read: what was billed comes first."""

ENDPOINT_NAMES = tuple(endpoint.name for endpoint in ALL_ENDPOINTS)
"""Expected of every team and day; the legacy endpoint is read only where it is asked for."""

LEGACY_ENDPOINT = BucketTable(
    "legacy_usage",
    "legacy_usage",
    LEGACY_USAGE,
    partial(content_hashes, columns=LEGACY_CONTENT, sparse=True),
)
"""What project keys tell; see :mod:`finops_pipeline.ingestion.legacy`."""

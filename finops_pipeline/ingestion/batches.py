"""What one page of one team becomes: rows of new revisions, then ledger entries."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc

from finops_pipeline.ingestion.content import bucket_numbers
from finops_pipeline.ingestion.endpoints import BucketTable
from finops_pipeline.ingestion.ledger import Ledger
from finops_pipeline.ingestion.outcome import BucketOutcome, Status
from finops_pipeline.ingestion.pseudonyms import Pseudonyms
from finops_pipeline.ingestion.tables import COLLECTIONS, OPENAI_PROJECTS
from finops_pipeline.openai_admin import (
    ONE_PAGE_AT_A_TIME,
    CostsBucket,
    CostsPage,
    OpenAIError,
    Project,
    UsagePage,
)
from finops_pipeline.registry import TeamKey

_WIDE_MONEY = pa.decimal256(60, 18)


@dataclass(frozen=True)
class Batch:
    """What one page adds: rows first, then the ledger entries that assert them.

    Attributes:
        tables: (raw table, rows), in the order in which they must be written.
        buckets: What the entries say.
        rows: Rows of new revisions in ``tables``.
        users: OpenAI's user id of each pseudonym on the page.
    """

    tables: tuple[tuple[str, pa.Table], ...]
    buckets: tuple[BucketOutcome, ...] = ()
    rows: int = 0
    users: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Revision:
    """A bucket's revision, and whether it is a new one whose rows land."""

    revision_id: str
    day: date
    row_count: int
    lands: bool


class Batches:
    """Makes the batches of one team.

    Args:
        run_id: Written into each ledger entry.
        ledger: What earlier collections know.

    Attributes:
        key: The key that answers come by; changes when it was rotated meanwhile. None where there
            is none, or several.
    """

    def __init__(
        self,
        team_id: str,
        key: TeamKey | None,
        *,
        run_id: str,
        ledger: Ledger,
        pseudonyms: Pseudonyms,
    ) -> None:
        self.key = key
        self._team_id = team_id
        self._run_id = run_id
        self._ledger = ledger
        self._pseudonyms = pseudonyms
        self._organization_id = key.organization_id if key else None

    def of_page(self, endpoint: BucketTable, page: CostsPage | UsagePage) -> Batch:
        """An entry for each day of the page, and the rows of those whose content is new.

        Raises:
            OpenAIError: the page is of another organization.
            FinopsError: the key of the pseudonyms does not open.
        """
        users: dict[str, str] = {}
        buckets: list[tuple[CostsBucket, pa.RecordBatch]] = []
        for bucket in page.buckets:
            self._check_organization(bucket)
            rows, found = self._pseudonyms.replaced(bucket.rows)
            users |= found
            buckets.append((bucket, rows))
        if not buckets:
            return Batch((_collections(()),))
        with ONE_PAGE_AT_A_TIME:
            return self._of_buckets(endpoint, buckets, page.received_at, users)

    def _of_buckets(
        self,
        endpoint: BucketTable,
        buckets: Sequence[tuple[CostsBucket, pa.RecordBatch]],
        received_at: datetime,
        users: dict[str, str],
    ) -> Batch:
        """One page's buckets, each with its rows: together, because Arrow's calls are few then."""
        rows = pa.concat_batches([rows for _, rows in buckets])
        counts = [rows.num_rows for _, rows in buckets]
        digests = endpoint.content_hashes(rows, counts)
        costs_of = _sums_per_currency(rows, counts)
        entries: list[dict[str, Any]] = []
        outcomes: list[BucketOutcome] = []
        landing: list[_Revision] = []
        for (bucket, _), count, digest, costs in zip(
            buckets, counts, digests, costs_of, strict=True
        ):
            known = self._ledger.content.get((self._team_id, endpoint.name, bucket.day))
            changed = known is None or (known.content_hash, known.query_signature) != (
                digest,
                bucket.query_signature,
            )
            revision_id = uuid4().hex if changed or known is None else known.revision_id
            landing.append(_Revision(revision_id, bucket.day, count, lands=changed))
            outcomes.append(
                BucketOutcome(
                    self._team_id,
                    endpoint.name,
                    bucket.day,
                    Status.OK,
                    count,
                    changed,
                    () if costs is None else tuple(costs.items()),
                )
            )
            entries.append(
                self._entry(endpoint, bucket.day, Status.OK, received_at)
                | _in_ledger(costs)
                | {
                    "organization_id": bucket.organization_id,
                    "row_count": count,
                    "content_hash": digest,
                    "revision_id": revision_id,
                    "query_signature": bucket.query_signature,
                    "unknown_fields": ",".join(bucket.unknown_fields) or None,
                }
            )
        new_rows = self._new_rows(endpoint, rows, landing)
        tables = [(endpoint.table, new_rows)] if new_rows.num_rows else []
        tables.append(_collections(entries))
        return Batch(tuple(tables), tuple(outcomes), new_rows.num_rows, users)

    def without_answer(
        self, endpoint: BucketTable, days: Sequence[date], status: Status, reason: str
    ) -> Batch:
        """An entry for each of ``days`` that says why it was not read."""
        now = datetime.now(UTC)
        return Batch(
            (
                _collections(
                    self._entry(endpoint, day, status, now) | {"error": reason} for day in days
                ),
            ),
            tuple(
                BucketOutcome(self._team_id, endpoint.name, day, status, error=reason)
                for day in days
            ),
        )

    def of_projects(self, projects: Iterable[Project]) -> Batch | None:
        """The projects whose names or status are new; None if none are."""
        assert self.key is not None
        known = self._ledger.project_names
        key = (self._team_id, self.key.fingerprint)
        now = datetime.now(UTC)
        rows = [
            {
                "team_id": self._team_id,
                "key_fingerprint": self.key.fingerprint,
                "project_id": project.id,
                "project_name": project.name,
                "status": project.status,
                "created_at": project.created_at,
                "archived_at": project.archived_at,
                "collected_at": now,
            }
            for project in projects
            if known.get((*key, project.id)) != (project.name, project.status)
        ]
        if not rows:
            return None
        return Batch((("openai_projects", pa.Table.from_pylist(rows, schema=OPENAI_PROJECTS)),))

    def _check_organization(self, bucket: CostsBucket) -> None:
        """A key of another organization is answered too: only the id tells.

        Raises:
            OpenAIError: the answer names another organization than the registration, or than an
                earlier answer of this collection.
        """
        found, known = bucket.organization_id, self._organization_id
        if found is not None and known is not None and found != known:
            raise OpenAIError(
                "wrong_organization",
                f"Team '{self._team_id}': the key opens organization {found} and not {known}.",
                "Register an admin key of the team's own organization with "
                f"`finops key rotate {self._team_id}`.",
            )
        self._organization_id = known or found

    def _new_rows(
        self, endpoint: BucketTable, rows: pa.RecordBatch, revisions: Sequence[_Revision]
    ) -> pa.Table:
        """Those of ``rows`` that land, in the raw table's columns."""
        lands = [each.lands for each in revisions for _ in range(each.row_count)]
        landing = [each for each in revisions if each.lands]
        numbers = bucket_numbers([each.row_count for each in landing])
        said = rows if len(landing) == len(revisions) else rows.filter(pa.array(lands, pa.bool_()))
        same = {"team_id": self._team_id, "endpoint": endpoint.name}
        differing = {
            "revision_id": [each.revision_id for each in landing],
            "cost_date": [each.day for each in landing],
        }

        def column(name: str, kind: pa.DataType) -> pa.Array:
            if name in differing:
                return pa.array(differing[name], kind).take(numbers)
            if name in same:
                return pa.repeat(pa.scalar(same[name], kind), said.num_rows)
            return said.column(name)

        return pa.Table.from_arrays(
            [column(field.name, field.type) for field in endpoint.schema], schema=endpoint.schema
        )

    def _entry(
        self, endpoint: BucketTable, day: date, status: Status, collected_at: datetime
    ) -> dict[str, Any]:
        return {
            "collection_id": uuid4().hex,
            "run_id": self._run_id,
            "team_id": self._team_id,
            "endpoint": endpoint.name,
            "cost_date": day,
            "key_id": self.key.key_id if self.key else None,
            "key_fingerprint": self.key.fingerprint if self.key else None,
            "status": status.value,
            "collected_at": collected_at,
        }


def _collections(entries: Iterable[dict[str, Any]]) -> tuple[str, pa.Table]:
    return "collections", pa.Table.from_pylist(list(entries), schema=COLLECTIONS)


def _in_ledger(costs: dict[str, Decimal] | None) -> dict[str, Any]:
    """The ledger's ``cost`` and ``currency``: one sum, or none where nothing or several fit."""
    if costs is None or len(costs) > 1:
        return {}
    ((currency, cost),) = costs.items() or ((None, Decimal(0)),)
    return {"cost": cost, "currency": currency}


def _sums_per_currency(
    rows: pa.RecordBatch, counts: Sequence[int]
) -> list[dict[str, Decimal]] | list[None]:
    """Exact sums of each bucket, of which ``counts`` says how many rows are its.

    A row without a currency is billed in USD, as OpenAI bills everything. None for rows that
    carry no amounts at all.
    """
    if "amount" not in rows.schema.names:
        return [None] * len(counts)
    found = pa.table(
        {
            "bucket": bucket_numbers(counts),
            "currency": rows.column("currency").fill_null("USD"),
            # A sum keeps its column's width and would wrap silently; in a wider one it cannot.
            "amount": rows.column("amount").cast(_WIDE_MONEY),
        }
    ).group_by(["bucket", "currency"], use_threads=False)
    added = found.aggregate([("amount", "sum", pc.ScalarAggregateOptions(min_count=0))])
    sums: list[dict[str, Decimal]] = [{} for _ in counts]
    for row in added.to_pylist():
        sums[row["bucket"]][row["currency"]] = row["amount_sum"]
    return sums

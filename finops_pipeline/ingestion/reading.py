"""Reading one team's costs: pages in, ledger entries and rows of new revisions out."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Protocol
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc

from finops_pipeline.errors import FinopsError
from finops_pipeline.ingestion.content import content_hash
from finops_pipeline.ingestion.ledger import Ledger
from finops_pipeline.ingestion.outcome import BucketOutcome, Status, TeamOutcome
from finops_pipeline.ingestion.tables import COLLECTIONS, COSTS, OPENAI_PROJECTS
from finops_pipeline.openai_admin import AdminClient, CostsBucket, OpenAIError, Project
from finops_pipeline.registry import CollectableTeam, TeamKey

ENDPOINT = "costs"

_log = logging.getLogger(__name__)


class Keys(Protocol):
    """Where the active key of a team is read again, after it was refused in mid-run."""

    def active_admin_key(self, team_id: str) -> TeamKey | None: ...


ClientFactory = Callable[[str, Callable[[], str]], AdminClient]
"""Makes the client of a team from its id and a function that reveals its key."""


@dataclass(frozen=True)
class Batch:
    """What one page adds: rows first, then the ledger entries that assert them.

    Attributes:
        tables: (raw table, rows), in the order in which they must be written.
        buckets: What the entries say.
    """

    tables: tuple[tuple[str, pa.Table], ...]
    buckets: tuple[BucketOutcome, ...]

    @property
    def cost_rows(self) -> int:
        return sum(table.num_rows for name, table in self.tables if name == "costs")


class TeamReading:
    """One team's part of a collection; used from one thread.

    Args:
        team: The team and its key.
        ranges: First and last day (UTC) of what to read, ascending and not touching.
        run_id: Written into each ledger entry.
        ledger: What earlier collections know.
        keys: Where a rotated key is found.
        make_client: See :data:`ClientFactory`.
    """

    def __init__(
        self,
        team: CollectableTeam,
        *,
        ranges: Sequence[tuple[date, date]],
        run_id: str,
        ledger: Ledger,
        keys: Keys,
        make_client: ClientFactory,
    ) -> None:
        self._team = team
        self._ranges = ranges
        self._run_id = run_id
        self._ledger = ledger
        self._keys = keys
        self._make_client = make_client
        self._key = team.key
        self._revealed = False
        self._began = time.monotonic()
        self._calls = 0
        self._organization_id = team.key.organization_id if team.key else None
        self._seen: set[date] = set()
        self._error: str | None = None

    @property
    def outcome(self) -> TeamOutcome:
        return TeamOutcome(
            self._team.team_id, self._calls, time.monotonic() - self._began, self._error
        )

    def batches(self) -> Iterator[Batch]:
        """Every day of the range exactly once, as read or as failed. Raises nothing of its team."""
        team_id = self._team.team_id
        try:
            if self._key is None:
                yield self._failed(
                    f"Team {team_id} has no active admin key. "
                    f"Register one: finops key register {team_id}"
                )
            else:
                yield from self._read()
        except FinopsError as error:
            yield self._failed(str(error))
        except Exception as error:
            # A team fails alone, whatever the reason. The text of an unforeseen exception could
            # hold anything, a key too, so neither log nor ledger repeats it.
            name = type(error).__name__
            where = "".join(traceback.format_tb(error.__traceback__))
            _log.error("Reading the costs of team %s broke off with %s:\n%s", team_id, name, where)
            yield self._failed(f"The reading broke off ({name}); see the run's log.")

    def _read(self) -> Iterator[Batch]:
        with self._make_client(self._team.team_id, self._reveal) as client:
            try:
                # Asked first because it also tells the server's clock.
                yield from self._names(client)
                for start, end in self._ranges:
                    pages = client.costs(
                        start,
                        end + timedelta(days=1),
                        rows_per_bucket=self._ledger.rows_per_bucket.get(self._team.team_id),
                    )
                    for page in pages:
                        self._calls = client.calls
                        yield self._landing(page.buckets, page.received_at)
                        del page  # not kept while the next one is read
            finally:
                self._calls = client.calls
            if self._unseen():
                yield self._failed(
                    f"Team {self._team.team_id}: this day is not over yet by the API's clock "
                    f"({client.server_time}). Collect it again once it is."
                )

    def _reveal(self) -> str:
        """The key's text; from the second call on, of the key that is active now."""
        if self._revealed:
            self._key = self._keys.active_admin_key(self._team.team_id) or self._key
        self._revealed = True
        assert self._key is not None
        return self._key.reveal()

    def _names(self, client: AdminClient) -> Iterator[Batch]:
        try:
            projects = client.projects()
        except OpenAIError as error:
            # Names are optional: listing projects needs a scope that collecting does not.
            _log.info("No project names for team %s: %s", self._team.team_id, error)
            return
        fresh = [project for project in projects if self._is_news(project)]
        if fresh:
            now = datetime.now(UTC)
            rows = [
                {
                    "team_id": self._team.team_id,
                    "key_fingerprint": self._fingerprint,
                    "project_id": project.id,
                    "project_name": project.name,
                    "status": project.status,
                    "created_at": project.created_at,
                    "archived_at": project.archived_at,
                    "collected_at": now,
                }
                for project in fresh
            ]
            table = pa.Table.from_pylist(rows, schema=OPENAI_PROJECTS)
            yield Batch((("openai_projects", table),), ())

    def _is_news(self, project: Project) -> bool:
        known = self._ledger.project_names.get((self._team.team_id, self._fingerprint, project.id))
        return known != (project.name, project.status)

    @property
    def _fingerprint(self) -> str:
        assert self._key is not None
        return self._key.fingerprint

    def _landing(self, buckets: tuple[CostsBucket, ...], received_at: datetime) -> Batch:
        entries: list[dict[str, Any]] = []
        outcomes: list[BucketOutcome] = []
        landing: list[pa.RecordBatch] = []
        for bucket in buckets:
            self._check_organization(bucket)
            self._seen.add(bucket.day)
            digest = content_hash(bucket.rows)
            known = self._ledger.content.get((self._team.team_id, bucket.day))
            changed = known is None or (known.content_hash, known.query_signature) != (
                digest,
                bucket.query_signature,
            )
            revision_id = uuid4().hex if changed or known is None else known.revision_id
            costs = _sum_per_currency(bucket.rows)
            if changed and bucket.rows.num_rows:
                landing.append(self._rows(bucket, revision_id))
            outcomes.append(
                BucketOutcome(
                    self._team.team_id,
                    bucket.day,
                    Status.OK,
                    bucket.rows.num_rows,
                    changed,
                    tuple(costs.items()),
                )
            )
            entries.append(
                self._entry(bucket.day, Status.OK, received_at)
                | {
                    "organization_id": bucket.organization_id,
                    "row_count": bucket.rows.num_rows,
                    "cost": next(iter(costs.values()), Decimal(0)) if len(costs) < 2 else None,
                    "currency": next(iter(costs)) if len(costs) == 1 else None,
                    "content_hash": digest,
                    "revision_id": revision_id,
                    "query_signature": bucket.query_signature,
                    "unknown_fields": ",".join(bucket.unknown_fields) or None,
                }
            )
        tables = [("costs", pa.Table.from_batches(landing))] if landing else []
        tables.append(("collections", pa.Table.from_pylist(entries, schema=COLLECTIONS)))
        return Batch(tuple(tables), tuple(outcomes))

    def _check_organization(self, bucket: CostsBucket) -> None:
        """A key of another organization is answered too: only the id tells.

        Raises:
            OpenAIError: the answer names another organization than the registration, or than an
                earlier answer of this collection.
        """
        found, known = bucket.organization_id, self._organization_id
        if found is not None and known is not None and found != known:
            team_id = self._team.team_id
            raise OpenAIError(
                "wrong_organization",
                f"Team '{team_id}': the key opens organization {found} and not {known}.",
                "Register an admin key of the team's own organization with "
                f"`finops key rotate {team_id}`.",
            )
        self._organization_id = known or found

    def _rows(self, bucket: CostsBucket, revision_id: str) -> pa.RecordBatch:
        count = bucket.rows.num_rows
        return pa.RecordBatch.from_arrays(
            [
                pa.repeat(revision_id, count),
                pa.repeat(self._team.team_id, count),
                pa.repeat(pa.scalar(bucket.day, pa.date32()), count),
                *bucket.rows.columns,
            ],
            schema=COSTS,
        )

    def _failed(self, reason: str) -> Batch:
        """A failed entry for each day that was not read."""
        self._error = reason
        days = self._unseen()
        now = datetime.now(UTC)
        entries = [self._entry(day, Status.FAILED, now) | {"error": reason} for day in days]
        return Batch(
            (("collections", pa.Table.from_pylist(entries, schema=COLLECTIONS)),),
            tuple(
                BucketOutcome(self._team.team_id, day, Status.FAILED, error=reason) for day in days
            ),
        )

    def _unseen(self) -> list[date]:
        return [
            day
            for start, end in self._ranges
            for offset in range((end - start).days + 1)
            if (day := start + timedelta(days=offset)) not in self._seen
        ]

    def _entry(self, day: date, status: Status, collected_at: datetime) -> dict[str, Any]:
        return {
            "collection_id": uuid4().hex,
            "run_id": self._run_id,
            "team_id": self._team.team_id,
            "endpoint": ENDPOINT,
            "cost_date": day,
            "key_id": self._key.key_id if self._key else None,
            "key_fingerprint": self._key.fingerprint if self._key else None,
            "status": status.value,
            "collected_at": collected_at,
        }


_WIDE_MONEY = pa.decimal256(60, 18)


def _sum_per_currency(rows: pa.RecordBatch) -> dict[str, Decimal]:
    """Exact sums; a row without a currency is billed in USD, as OpenAI bills everything."""
    # A sum keeps its column's width and would wrap silently; in a wider one it cannot.
    amounts = rows.column("amount").cast(_WIDE_MONEY)
    currencies = rows.column("currency").fill_null("USD")
    found = currencies.unique().to_pylist()
    return {
        currency: pc.sum(
            amounts if len(found) == 1 else amounts.filter(pc.equal(currencies, currency)),
            min_count=0,
        ).as_py()
        for currency in found
    }

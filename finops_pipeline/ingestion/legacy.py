"""What project keys tell of the legacy usage endpoint: a call for each key and day, at its pace.

A bucket is one (team, day), and holds what all active project keys of the team told of it. Where
one of them fails the day fails for its team: a part of it would look like the whole.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import date
from typing import Protocol

import pyarrow as pa

from finops_pipeline.ingestion.batches import Batch, Batches
from finops_pipeline.ingestion.collect import OnLanded, OnProgress, collect_readings
from finops_pipeline.ingestion.endpoints import LEGACY_ENDPOINT, BucketTable
from finops_pipeline.ingestion.ledger import Ledger
from finops_pipeline.ingestion.outcome import Collection, Pace, Status, TeamOutcome
from finops_pipeline.ingestion.pseudonyms import Pseudonyms, Users
from finops_pipeline.ingestion.reading import (
    OF_EVERY_CALL,
    OUTAGES_IN_A_ROW,
    Ranges,
    days_of,
    reason_of,
)
from finops_pipeline.openai_admin import LegacyClient, OpenAIError
from finops_pipeline.openai_admin.legacy import CALLS_PER_MINUTE, SECONDS_BETWEEN_CALLS
from finops_pipeline.openai_admin.paging import BucketPage, DayBucket
from finops_pipeline.registry import ProjectKey, TeamKey, TeamWithProjectKeys
from finops_pipeline.warehouse.warehouse import Warehouse

LegacyClientFactory = Callable[[str, ProjectKey, Callable[[], str]], LegacyClient]
"""Makes the client of a key from its team's id, the key, and a function that reveals it."""

_REASON = f"OpenAI takes {CALLS_PER_MINUTE} calls a minute and key, and a call is one day"


class ProjectKeys(Protocol):
    """Where a project's active key is read again, after it was refused in mid-run."""

    def active_project_key(self, project_id: str) -> TeamKey | None: ...


class ProjectKeysAndUsers(ProjectKeys, Users, Protocol):
    """What a collection asks the registry for."""


def collect_legacy(
    *,
    warehouse: Warehouse,
    teams: Sequence[TeamWithProjectKeys],
    registry: ProjectKeysAndUsers,
    make_client: LegacyClientFactory,
    start: date,
    end: date,
    run_id: str,
    concurrency: int,
    resumed_runs: Sequence[str] = (),
    on_progress: OnProgress = lambda _: None,
    on_landed: OnLanded = lambda _: None,
) -> Collection:
    """Read the legacy usage of ``teams`` from ``start`` to ``end`` (UTC days, both inclusive).

    Everything else is as with :func:`finops_pipeline.ingestion.collect.collect`.
    """
    pseudonyms = Pseudonyms(registry)
    team_of = {team.team_id: team for team in teams}

    def begin(team_id: str, wanted: Mapping[BucketTable, Ranges], ledger: Ledger) -> LegacyReading:
        return LegacyReading(
            team_of[team_id],
            days=sorted(days_of(wanted[LEGACY_ENDPOINT])),
            batches=Batches(team_id, None, run_id=run_id, ledger=ledger, pseudonyms=pseudonyms),
            keys=registry,
            make_client=make_client,
        )

    def pace(days: int) -> Pace:
        rounds = -(-len(teams) // concurrency)
        return Pace(_REASON, rounds * max(days - 1, 0) * SECONDS_BETWEEN_CALLS)

    return collect_readings(
        begin,
        warehouse=warehouse,
        team_ids=list(team_of),
        users=registry,
        start=start,
        end=end,
        run_id=run_id,
        concurrency=concurrency,
        endpoints=(LEGACY_ENDPOINT,),
        resumed_runs=resumed_runs,
        on_progress=on_progress,
        on_landed=on_landed,
        pace=pace,
    )


class LegacyReading:
    """One team's part of a collection; used from one thread.

    Args:
        team: The team and its project keys.
        days: UTC days, ascending.
        batches: Makes the team's batches.
        keys: Where a rotated key is found.
        make_client: See :data:`LegacyClientFactory`.
    """

    def __init__(
        self,
        team: TeamWithProjectKeys,
        *,
        days: Sequence[date],
        batches: Batches,
        keys: ProjectKeys,
        make_client: LegacyClientFactory,
    ) -> None:
        self._team = team
        self._unread = list(days)
        self._batches = batches
        self._keys = keys
        self._make_client = make_client
        self._began = time.monotonic()
        self._calls = 0
        self._error: str | None = None

    @property
    def outcome(self) -> TeamOutcome:
        seconds = time.monotonic() - self._began
        errors = {} if self._error is None else {LEGACY_ENDPOINT.name: self._error}
        return TeamOutcome(self._team.team_id, self._calls, seconds, errors)

    def batches(self) -> Iterator[Batch]:
        """Every day exactly once, as read or not. Raises nothing of its team."""
        try:
            yield from self._read()
        except Exception as error:
            yield self._failed(self._unread, reason_of(error, self._team.team_id))

    def _read(self) -> Iterator[Batch]:
        outages = 0
        with ExitStack() as opened:
            clients = [opened.enter_context(self._client(key)) for key in self._team.keys]
            opened.callback(self._count, clients)
            while self._unread:
                day = self._unread[0]
                try:
                    # A call of each key, then the next day: keys are paced apart from one another.
                    page = _in_one([client.usage(day) for client in clients])
                except OpenAIError as error:
                    outages = outages + 1 if error.reason == "outage" else 0
                    if error.reason in OF_EVERY_CALL or outages == OUTAGES_IN_A_ROW:
                        raise
                    batch = self._failed([day], str(error))
                else:
                    outages = 0
                    batch = self._batches.of_page(LEGACY_ENDPOINT, page)
                del self._unread[0]
                yield batch

    def _client(self, key: ProjectKey) -> LegacyClient:
        return self._make_client(self._team.team_id, key, _Revealer(key, self._keys))

    def _count(self, clients: Sequence[LegacyClient]) -> None:
        self._calls = sum(client.calls for client in clients)

    def _failed(self, days: Sequence[date], reason: str) -> Batch:
        self._error = self._error or reason
        return self._batches.without_answer(LEGACY_ENDPOINT, days, Status.FAILED, reason)


class _Revealer:
    """Gives a key's text; from the second call on, of the key that is active then."""

    def __init__(self, key: ProjectKey, keys: ProjectKeys) -> None:
        self._project_id = key.project_id
        self._key = key.key
        self._keys = keys
        self._revealed = False

    def __call__(self) -> str:
        if self._revealed:
            self._key = self._keys.active_project_key(self._project_id) or self._key
        self._revealed = True
        return self._key.reveal()


def _in_one(pages: Sequence[BucketPage]) -> BucketPage:
    """What the keys of a team told of one day, as one bucket; its rows name the key's project."""
    buckets = [bucket for page in pages for bucket in page.buckets]
    unknown = dict.fromkeys(name for bucket in buckets for name in bucket.unknown_fields)
    whole = DayBucket(
        day=buckets[0].day,
        rows=pa.concat_batches([_with_key_project(bucket) for bucket in buckets]),
        organization_id=None,
        query_signature=",".join(sorted(bucket.query_signature for bucket in buckets)),
        unknown_fields=tuple(unknown),
    )
    return BucketPage(1, max(page.received_at for page in pages), (whole,))


def _with_key_project(bucket: DayBucket) -> pa.RecordBatch:
    project = pa.array([bucket.query_signature] * bucket.rows.num_rows, pa.string())
    return bucket.rows.append_column("key_project_id", project)

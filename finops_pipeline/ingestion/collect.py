"""One collection: all teams at once, streamed into a few loads, each visible on its own.

Teams are read in threads and hand over batches through a short queue; the calling thread loads
them. A range becomes a load about every half million rows or thirty seconds, so a run that is
stopped loses little, and one that resumes it reads only what had not landed.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import date, timedelta
from typing import Protocol, TypeVar

import pyarrow as pa

from finops_pipeline.ingestion.batches import Batch
from finops_pipeline.ingestion.days import ranges
from finops_pipeline.ingestion.endpoints import ALL_ENDPOINTS, BucketEndpoint, BucketTable
from finops_pipeline.ingestion.ledger import Ledger, read_by_runs, read_ledger
from finops_pipeline.ingestion.loading import Loader, ledger_exists
from finops_pipeline.ingestion.outcome import (
    BucketOutcome,
    Collection,
    Pace,
    Progress,
    TeamOutcome,
)
from finops_pipeline.ingestion.pseudonyms import Pseudonyms, Users
from finops_pipeline.ingestion.reading import ClientFactory, Keys, Ranges, TeamReading
from finops_pipeline.registry import CollectableTeam
from finops_pipeline.warehouse.warehouse import Warehouse

_LOAD_ROWS = 500_000
_LOAD_SECONDS = 30.0


OnProgress = Callable[[Progress], None]

OnLanded = Callable[[Sequence[BucketOutcome]], None]
"""Given the buckets of each load once it is visible; first those that were read before."""


class KeysAndUsers(Keys, Users, Protocol):
    """What a collection asks the registry for."""


class Reading(Protocol):
    """One team's part of a collection; used from one thread."""

    @property
    def outcome(self) -> TeamOutcome: ...

    def batches(self) -> Iterator[Batch]:
        """Every bucket exactly once, as read or not. Raises nothing of its team."""


E = TypeVar("E", bound=BucketTable)

BeginReading = Callable[[str, Mapping[E, Ranges], Ledger], Reading]
"""Makes a team's reading from its id, what to read of it, and what earlier collections know."""


def collect(
    *,
    warehouse: Warehouse,
    teams: Sequence[CollectableTeam],
    registry: KeysAndUsers,
    make_client: ClientFactory,
    start: date,
    end: date,
    run_id: str,
    concurrency: int,
    endpoints: Sequence[BucketEndpoint] = ALL_ENDPOINTS,
    resumed_runs: Sequence[str] = (),
    on_progress: OnProgress = lambda _: None,
    on_landed: OnLanded = lambda _: None,
) -> Collection:
    """Read costs and usage of ``teams`` from ``start`` to ``end`` (UTC days, both inclusive).

    Each team and each endpoint fails alone: what went wrong is in the ledger and in the result.
    Rows land only where the content of a bucket is new.

    Args:
        endpoints: What to read, in this order.
        resumed_runs: Runs that broke off and that this one continues: buckets that they read
            are not read again.

    Raises:
        FinopsError: the warehouse cannot be opened, or somebody else held it for too long.
    """
    pseudonyms = Pseudonyms(registry)
    team_of = {team.team_id: team for team in teams}

    def begin(team_id: str, wanted: Mapping[BucketEndpoint, Ranges], ledger: Ledger) -> TeamReading:
        return TeamReading(
            team_of[team_id],
            wanted=wanted,
            run_id=run_id,
            ledger=ledger,
            keys=registry,
            pseudonyms=pseudonyms,
            make_client=make_client,
        )

    return collect_readings(
        begin,
        warehouse=warehouse,
        team_ids=list(team_of),
        users=registry,
        start=start,
        end=end,
        run_id=run_id,
        concurrency=concurrency,
        endpoints=endpoints,
        resumed_runs=resumed_runs,
        on_progress=on_progress,
        on_landed=on_landed,
    )


def collect_readings(
    begin: BeginReading[E],
    *,
    warehouse: Warehouse,
    team_ids: Sequence[str],
    users: Users,
    start: date,
    end: date,
    run_id: str,
    concurrency: int,
    endpoints: Sequence[E],
    resumed_runs: Sequence[str],
    on_progress: OnProgress,
    on_landed: OnLanded,
    pace: Callable[[int], Pace] | None = None,
) -> Collection:
    """Run the readings of some teams and land what they yield; see :func:`collect`.

    Args:
        begin: Makes a team's reading; not called for a team of which nothing is left to read.
        pace: What keeps it slow, from the most days that are left to read of any team.
    """
    began = time.monotonic()
    ledger = Ledger()
    collection = Collection(run_id)
    with (
        warehouse.writing("reading the ledger"),
        warehouse.connect() as connection,
    ):
        if ledger_exists(connection):  # the first load creates it
            names = [endpoint.name for endpoint in endpoints]
            scope = (names, team_ids, start, end)
            ledger = read_ledger(connection, *scope)
            if resumed_runs:
                collection.read_before = read_by_runs(connection, *scope, resumed_runs)
    days = [start + timedelta(days=offset) for offset in range((end - start).days + 1)]
    buckets = len(team_ids) * len(endpoints) * len(days)
    before = {(bucket.team_id, bucket.endpoint, bucket.day) for bucket in collection.read_before}
    readings = []
    most_days = 0
    for team_id in team_ids:
        missing = {
            endpoint: [day for day in days if (team_id, endpoint.name, day) not in before]
            for endpoint in endpoints
        }
        wanted = {endpoint: ranges(left) for endpoint, left in missing.items() if left}
        most_days = max(most_days, *(len(left) for left in missing.values()))
        if wanted:
            readings.append(begin(team_id, wanted, ledger))
        else:
            collection.teams.append(TeamOutcome(team_id, calls=0, seconds=0.0))
    paced = pace(most_days) if pace else None

    def tell() -> None:
        on_progress(
            Progress(
                teams=len(team_ids),
                teams_done=len(collection.teams),
                buckets=buckets,
                buckets_done=len(before) + len(collection.buckets),
                buckets_before=len(before),
                rows=collection.rows_landed,
                loads=collection.loads,
                seconds=time.monotonic() - began,
                pace=paced,
            )
        )

    on_landed(collection.read_before)
    tell()
    with warehouse.scratch_folder() as folder, _read_all(readings, concurrency) as stream:
        loader = Loader(warehouse, folder, erased=users.erased_users)
        while first := stream.next():
            if isinstance(first, TeamOutcome):
                # Writes nothing: as the beginning of a load it would make an empty one.
                collection.teams.append(first)
            else:
                landed_before = len(collection.buckets)
                loader.load(_recorded(stream.chunk(first), collection, tell))
                collection.loads += 1
                on_landed(collection.buckets[landed_before:])
            tell()
    # What Arrow keeps in case of more pages would stand beside the memory of a build that follows.
    pa.default_memory_pool().release_unused()
    return collection


def _recorded(
    items: Iterator[Batch | TeamOutcome], collection: Collection, tell: Callable[[], None]
) -> Iterator[Batch]:
    for item in items:
        if isinstance(item, TeamOutcome):
            collection.teams.append(item)
        else:
            collection.buckets.extend(item.buckets)
            collection.rows_landed += item.rows
            yield item
        tell()


class _Stream:
    """Batches and team outcomes as the teams' threads produce them."""

    def __init__(self, readings: int, depth: int) -> None:
        self._queue: queue.Queue[Batch | TeamOutcome | BaseException] = queue.Queue(depth)
        self._unfinished = readings
        self._stopped = threading.Event()

    def put(self, item: Batch | TeamOutcome | BaseException) -> None:
        while not self._stopped.is_set():
            try:
                self._queue.put(item, timeout=0.2)
            except queue.Full:
                continue
            return
        raise _StoppedError

    def stop(self) -> None:
        self._stopped.set()

    def next(self, timeout: float | None = None) -> Batch | TeamOutcome | None:
        """The next item; none when every team is through, or after ``timeout`` seconds.

        An exception in a team's thread is raised here.
        """
        if not self._unfinished:
            return None
        try:
            item = self._queue.get(timeout=timeout)
        except queue.Empty:
            return None
        if isinstance(item, BaseException):
            raise item
        if isinstance(item, TeamOutcome):
            self._unfinished -= 1
        return item

    def chunk(self, first: Batch) -> Iterator[Batch | TeamOutcome]:
        """``first`` and what follows it, up to the size and age of one load."""
        deadline = time.monotonic() + _LOAD_SECONDS
        rows = 0
        item: Batch | TeamOutcome | None = first
        while item is not None:
            yield item
            rows += item.rows if isinstance(item, Batch) else 0
            remaining = deadline - time.monotonic()
            if rows >= _LOAD_ROWS or remaining <= 0:
                return
            item = self.next(remaining)


class _StoppedError(Exception):
    """The collection was stopped while a team was still being read."""


@contextmanager
def _read_all(readings: Sequence[Reading], concurrency: int) -> Iterator[_Stream]:
    stream = _Stream(len(readings), depth=concurrency)

    def read(reading: Reading) -> None:
        try:
            for batch in reading.batches():
                stream.put(batch)
                del batch  # not kept while the next one is read
            stream.put(reading.outcome)
        except _StoppedError:
            return
        except BaseException as error:
            stream.put(error)

    executor = ThreadPoolExecutor(max_workers=concurrency, thread_name_prefix="collect")
    try:
        for reading in readings:
            executor.submit(read, reading)
        yield stream
    except BaseException:
        # A thread may be waiting minutes for OpenAI to accept calls again. Nobody takes what it
        # reads any more, so it ends by itself.
        stream.stop()
        executor.shutdown(wait=False, cancel_futures=True)
        raise
    executor.shutdown()

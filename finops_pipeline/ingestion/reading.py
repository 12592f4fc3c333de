"""Reading one team: endpoint by endpoint, pages in, batches out."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Protocol

from finops_pipeline.errors import FinopsError
from finops_pipeline.ingestion.batches import Batch, Batches
from finops_pipeline.ingestion.endpoints import BucketEndpoint
from finops_pipeline.ingestion.ledger import Ledger
from finops_pipeline.ingestion.outcome import Status, TeamOutcome
from finops_pipeline.ingestion.pseudonyms import Pseudonyms
from finops_pipeline.openai_admin import AdminClient, OpenAIError, Reason
from finops_pipeline.registry import CollectableTeam, TeamKey

_OF_THE_KEY: frozenset[Reason] = frozenset({"bad_key", "missing_scope", "wrong_organization"})
OF_EVERY_CALL = _OF_THE_KEY | {"rate_limited"}
"""What one call is refused for, every other is refused for as well."""

OUTAGES_IN_A_ROW = 3
"""Each takes minutes of patience. After so many the API is out, not one of its endpoints."""

_log = logging.getLogger(__name__)

Ranges = Sequence[tuple[date, date]]
"""First and last day (UTC) of each, ascending and not touching."""


class Keys(Protocol):
    """Where the active key of a team is read again, after it was refused in mid-run."""

    def active_admin_key(self, team_id: str) -> TeamKey | None: ...


ClientFactory = Callable[[str, Callable[[], str]], AdminClient]
"""Makes the client of a team from its id and a function that reveals its key."""


class TeamReading:
    """One team's part of a collection; used from one thread.

    Args:
        team: The team and its key.
        wanted: What to read, in this order.
        run_id: Written into each ledger entry.
        ledger: What earlier collections know.
        keys: Where a rotated key is found.
        pseudonyms: What user ids become.
        make_client: See :data:`ClientFactory`.
    """

    def __init__(
        self,
        team: CollectableTeam,
        *,
        wanted: Mapping[BucketEndpoint, Ranges],
        run_id: str,
        ledger: Ledger,
        keys: Keys,
        pseudonyms: Pseudonyms,
        make_client: ClientFactory,
    ) -> None:
        self._team_id = team.team_id
        self._ledger = ledger
        self._keys = keys
        self._make_client = make_client
        self._revealed = False
        self._began = time.monotonic()
        self._calls = 0
        self._batches = Batches(
            team.team_id, team.key, run_id=run_id, ledger=ledger, pseudonyms=pseudonyms
        )
        self._wanted = wanted
        self._unread = {endpoint: days_of(ranges) for endpoint, ranges in wanted.items()}
        self._outages = 0
        self._errors: dict[str, str] = {}

    @property
    def outcome(self) -> TeamOutcome:
        seconds = time.monotonic() - self._began
        return TeamOutcome(self._team_id, self._calls, seconds, self._errors)

    def batches(self) -> Iterator[Batch]:
        """Every day of every endpoint exactly once, as read or not. Raises nothing of its team."""
        if self._batches.key is None:
            yield from self._give_up(
                f"Team {self._team_id} has no active admin key. "
                f"Register one: finops key register {self._team_id}"
            )
            return
        try:
            yield from self._read()
        except Exception as error:
            yield from self._give_up(reason_of(error, self._team_id))

    def _read(self) -> Iterator[Batch]:
        with self._make_client(self._team_id, self._reveal) as client:
            try:
                # Asked first because it also tells the server's clock.
                yield from self._names(client)
                for endpoint in self._wanted:
                    yield from self._endpoint(client, endpoint)
            finally:
                self._calls = client.calls

    def _endpoint(self, client: AdminClient, endpoint: BucketEndpoint) -> Iterator[Batch]:
        """One endpoint's days, as read or not; raises what concerns the other endpoints too."""
        try:
            for start, end in self._wanted[endpoint]:
                usual = self._ledger.rows_per_bucket.get((self._team_id, endpoint.name))
                for page in endpoint.read(client, start, end + timedelta(days=1), usual):
                    self._calls = client.calls
                    batch = self._batches.of_page(endpoint, page)
                    self._unread[endpoint].difference_update(bucket.day for bucket in batch.buckets)
                    yield batch
                    del page, batch  # not kept while the next one is read
        except OpenAIError as error:
            yield from self._not_read(endpoint, error)
        except FinopsError:
            raise
        except Exception as error:
            yield from self._failed(endpoint, reason_of(error, self._team_id))
        else:
            self._outages = 0
            yield from self._failed(
                endpoint,
                f"Team {self._team_id}: this day is not over yet by the API's clock "
                f"({client.server_time}). Collect it again once it is.",
            )

    def _not_read(self, endpoint: BucketEndpoint, error: OpenAIError) -> Iterator[Batch]:
        if error.reason in OF_EVERY_CALL:
            raise error
        days = self._unread[endpoint]
        # What answered a moment ago is there: then the same refusal is a failure.
        if error.reason == "unsupported" and days == days_of(self._wanted[endpoint]):
            del self._unread[endpoint]
            self._outages = 0
            yield self._batches.without_answer(
                endpoint, sorted(days), Status.UNSUPPORTED, str(error)
            )
            return
        yield from self._failed(endpoint, str(error))
        self._outages = self._outages + 1 if error.reason == "outage" else 0
        if self._outages == OUTAGES_IN_A_ROW:
            raise error

    def _reveal(self) -> str:
        """The key's text; from the second call on, of the key that is active now."""
        batches = self._batches
        if self._revealed:
            batches.key = self._keys.active_admin_key(self._team_id) or batches.key
        self._revealed = True
        assert batches.key is not None
        return batches.key.reveal()

    def _names(self, client: AdminClient) -> Iterator[Batch]:
        try:
            projects = client.projects()
        except OpenAIError as error:
            # Names are optional: listing projects needs a scope that collecting does not.
            _log.info("No project names for team %s: %s", self._team_id, error)
            return
        batch = self._batches.of_projects(projects)
        if batch is not None:
            yield batch

    def _give_up(self, reason: str) -> Iterator[Batch]:
        for endpoint in self._wanted:
            yield from self._failed(endpoint, reason)

    def _failed(self, endpoint: BucketEndpoint, reason: str) -> Iterator[Batch]:
        """A failed entry for each day of the endpoint that was not read."""
        days = self._unread.pop(endpoint, set())
        if days:
            self._errors[endpoint.name] = reason
            yield self._batches.without_answer(endpoint, sorted(days), Status.FAILED, reason)


def reason_of(error: Exception, team_id: str) -> str:
    """Why a team's reading failed, as the ledger says it."""
    if isinstance(error, FinopsError):
        return str(error)
    # The text of an unforeseen exception could hold anything, a key too, so neither log nor ledger
    # repeats it.
    name = type(error).__name__
    where = "".join(traceback.format_tb(error.__traceback__))
    _log.error("Reading team %s broke off with %s:\n%s", team_id, name, where)
    return f"The reading broke off ({name}); see the run's log."


def days_of(ranges: Ranges) -> set[date]:
    """Every day of some ranges."""
    return {
        start + timedelta(days=offset)
        for start, end in ranges
        for offset in range((end - start).days + 1)
    }

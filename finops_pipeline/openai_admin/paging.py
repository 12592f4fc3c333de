"""Reading daily buckets page by page: no day is lost or doubled, whatever the endpoint."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
from msgspec import Raw

from finops_pipeline.openai_admin.arrow import ONE_PAGE_AT_A_TIME
from finops_pipeline.openai_admin.errors import (
    BrokenBodyError,
    BrokenPageError,
    OpenAIError,
    quoted,
)
from finops_pipeline.openai_admin.transport import Params, Transport
from finops_pipeline.openai_admin.wire import AnyPage, Page, decode_page, with_constants_quoted

FIRST_BUCKETS = 31
"""Buckets asked for while nobody knows how many rows a day of this team has; half as many more
where that is all."""

ROWS_PER_PAGE = 25_000
"""Rows a page should stay under, about 9 MB of JSON, because every team may hold a page at the same
time; a year of a team with 137 rows a day is three or four calls."""

MAX_IDLE_PAGES = 3
"""Pages in a row without a day of the window, after which the server goes in circles."""

_DAY = timedelta(days=1)
_SECONDS = 86_400


@dataclass(frozen=True)
class DayBucket:
    """One closed UTC day as one answer gave it.

    Attributes:
        day: The UTC day.
        rows: The endpoint's schema, in the wire's order; no rows for an empty bucket.
        organization_id: The organization of the answer this bucket came in; None if it said none.
        query_signature: The group_by of the query, comma-joined.
        unknown_fields: Names of fields we do not know: ``bucket.x``, ``result.x``, ``amount.x``.
    """

    day: date
    rows: pa.RecordBatch
    organization_id: str | None
    query_signature: str
    unknown_fields: tuple[str, ...]


@dataclass(frozen=True)
class BucketPage:
    """One whole answer, checked. ``number`` counts from 1; ``received_at`` is UTC."""

    number: int
    received_at: datetime
    buckets: tuple[DayBucket, ...]


@dataclass(frozen=True)
class Source:
    """An endpoint that answers in daily buckets.

    Attributes:
        path: Below the base URL.
        title: How messages name it, as in ``page 1 of the costs``.
        max_buckets: Most buckets (days) that it takes as ``limit``.
        decode: Turns a bucket's undecoded results into rows with a nullable ``organization_id``
            among their columns, and the names of unknown fields; raises BrokenPageError.
        optional: Whether an organization may do without it. If so, a first answer of 400 or 404
            is ``unsupported``, and not asked again.
    """

    path: str
    title: str
    max_buckets: int
    decode: Callable[[Raw, date], tuple[pa.RecordBatch, tuple[str, ...]]]
    optional: bool = False


@dataclass(frozen=True)
class Query:
    """One query; a page token is good for this exact query alone. ``end`` is exclusive.

    ``project_ids`` are OpenAI's; none means every project and what belongs to no project.
    """

    start: date
    end: date
    group_by: tuple[str, ...]
    limit: int
    project_ids: tuple[str, ...] = ()

    def params(self, token: str | None) -> Params:
        """The query's parameters for its first page, or for the page of ``token``."""
        params: list[tuple[str, str | int]] = [
            ("start_time", _unix(self.start)),
            ("end_time", _unix(self.end)),
            ("bucket_width", "1d"),
            *(("group_by[]", name) for name in self.group_by),
            *(("project_ids[]", project) for project in self.project_ids),
            ("limit", self.limit),
        ]
        return params if token is None else [*params, ("page", token)]


class PageSize:
    """How many buckets a page should hold, learnt from the pages so far.

    Args:
        rows: Rows that a bucket seldom exceeds; None: unknown.
        most: Most buckets that the endpoint takes as ``limit``.

    Attributes:
        rows: Most rows seen in a bucket.
        ceiling: Most buckets the server gives, once it gave fewer than asked.
    """

    def __init__(self, rows: int | None, most: int) -> None:
        self.rows = rows
        self.ceiling = most
        self._most = most

    def limit(self, days: int) -> int:
        """What to ask for when ``days`` are still to come."""
        if self.rows is None:
            wanted = days if days <= FIRST_BUCKETS * 3 // 2 else FIRST_BUCKETS
        else:
            wanted = ROWS_PER_PAGE // max(self.rows, 1)
        return max(1, min(wanted, self._most, days))

    def worth_a_new_query(self, asked: int, days: int) -> bool:
        """Whether the next page of a query of ``asked`` buckets should have another size."""
        return min(self.limit(days), self.ceiling) != min(asked, self.ceiling, days)


@dataclass(frozen=True)
class _Part:
    """What one answer brought: its new buckets, the first day still missing, the next token."""

    received_at: datetime
    buckets: tuple[DayBucket, ...]
    next_day: date
    token: str | None


class BucketReader:
    """One pass over the closed days of an endpoint, in one or more windows.

    Args:
        transport: Sends the requests; its clock says which days are closed.
        source: The endpoint.
        rows_per_bucket: Rows that a day of this team seldom exceeds; None: unknown.
        project_ids: Only these OpenAI projects; none: all there is.
    """

    def __init__(
        self,
        transport: Transport,
        source: Source,
        *,
        rows_per_bucket: int | None,
        project_ids: tuple[str, ...] = (),
    ) -> None:
        self._transport = transport
        self._source = source
        self._size = PageSize(rows_per_bucket, source.max_buckets)
        self._project_ids = project_ids
        self._number = 0
        self._answered = False

    def read(self, start: date, end: date, group_by: tuple[str, ...]) -> Iterator[BucketPage]:
        """Yield every closed day from ``start`` to ``end`` (exclusive) exactly once, in pages."""
        next_day, end = start, self._closed(end)
        while next_day < end:
            limit = self._size.limit((end - next_day).days)
            query = Query(next_day, end, group_by, limit, self._project_ids)
            for part in self._parts(query):
                next_day = part.next_day
                end = self._closed(end)
                if part.buckets:
                    yield BucketPage(self._number, part.received_at, part.buckets)
                days = (end - next_day).days
                larger = part.buckets and self._size.worth_a_new_query(query.limit, days)
                del part  # two pages of every team at once would not fit the memory of one
                if end < query.end or (days and larger):
                    break
            end = self._closed(end)

    def _parts(self, query: Query) -> Iterator[_Part]:
        """Follow one query's tokens to its end, or to the answer that shows it asks too far."""
        next_day, token, idle = query.start, None, 0
        followed: set[str] = set()
        while True:
            part = self._ask(query, next_day, token, followed)
            if part is None:
                return
            idle = 0 if part.buckets else idle + 1
            next_day, token = part.next_day, part.token
            yield part
            del part
            if token is None:
                return
            if idle == MAX_IDLE_PAGES:
                text = f"the last {idle} answers brought no new day and still promise more"
                raise self._transport.error("broken_answer", self._subject(query), text)
            followed.add(token)

    def _ask(
        self, query: Query, next_day: date, token: str | None, followed: set[str]
    ) -> _Part | None:
        """One page; None if it was refused and the server's clock says that it asked too far."""
        self._number += 1
        try:
            part = self._transport.get(
                self._source.path,
                query.params(token),
                subject=self._subject(query),
                decode=lambda body, received_at: self._decode(
                    body, received_at, query, next_day, followed
                ),
                pointless=lambda: self._closed(query.end) < query.end,
                # What has answered is there: from then on a refusal is a failure.
                optional=self._source.optional and not self._answered,
            )
        except OpenAIError as error:
            asked_too_far = error.reason in ("outage", "broken_answer", "unsupported")
            if asked_too_far and self._closed(query.end) < query.end:
                self._number -= 1
                return None
            raise
        self._answered = True
        return part

    def _decode(
        self,
        body: bytes,
        received_at: datetime,
        query: Query,
        next_day: date,
        followed: set[str],
    ) -> _Part:
        """Decode and check one page as a whole: either all of it counts or nothing does."""
        try:
            page, unknown = decode_page(body)
        except BrokenBodyError:
            if (repaired := with_constants_quoted(body)) is None:
                raise
            self._decode(repaired, received_at, query, next_day, followed)
            raise BrokenPageError("holds NaN or Infinity, which are no JSON") from None
        token = None if page.has_more is False else page.next_page or None
        if token in followed:
            raise BrokenPageError("repeats an earlier page's token")

        end = self._closed(query.end)
        found = _days(page, query)
        buckets: list[DayBucket] = []
        organizations: set[str] = set()
        expected = next_day
        with ONE_PAGE_AT_A_TIME:
            for day, results in found:
                if day >= end:
                    break
                if day < expected:
                    raise BrokenPageError(f"brings {day} twice")
                if day > expected:
                    raise BrokenPageError(f"has no bucket for {expected}")
                rows, names = self._source.decode(results, day)
                organizations.update(filter(None, rows["organization_id"].unique().to_pylist()))
                buckets.append(
                    DayBucket(
                        day=day,
                        rows=rows,
                        organization_id=None,
                        query_signature=",".join(query.group_by),
                        unknown_fields=(*unknown, *names),
                    )
                )
                expected += _DAY
        if token is None and expected < end:
            raise BrokenPageError(f"is the last one and there was no bucket for {expected}")
        if len(organizations) > 1:
            mixed = quoted(", ".join(sorted(organizations)))
            raise BrokenPageError(f"mixes the organizations {mixed}")

        self._learn(buckets, len(found), query, next_day, more=token is not None)
        organization = next(iter(organizations), None)
        return _Part(
            received_at=received_at,
            buckets=tuple(replace(bucket, organization_id=organization) for bucket in buckets),
            next_day=expected,
            token=token,
        )

    def _learn(
        self, buckets: list[DayBucket], received: int, query: Query, next_day: date, *, more: bool
    ) -> None:
        if buckets:
            most = max(bucket.rows.num_rows for bucket in buckets)
            self._size.rows = max(most, self._size.rows or 0)
        if more and 0 < received < min(query.limit, (query.end - next_day).days):
            self._size.ceiling = received

    def _closed(self, end: date) -> date:
        """``end``, or the API's own today where that is earlier: later days are not over."""
        return min(end, self._transport.first_open_day or end)

    def _subject(self, query: Query) -> str:
        last = query.end - _DAY
        return f"page {self._number} of the {self._source.title} from {query.start} to {last}"


def _days(page: Page | AnyPage, query: Query) -> list[tuple[date, Raw]]:
    """Days and undecoded rows of the asked window, in order; buckets outside are ignored.

    Only where a bucket starts counts: usage ends today's bucket at *now*.
    """
    found = []
    for bucket in page.data:
        if not _unix(query.start) <= bucket.start_time < _unix(query.end):
            continue
        if bucket.start_time % _SECONDS:
            raise BrokenPageError(f"has a bucket that starts within a day ({bucket.start_time})")
        found.append((datetime.fromtimestamp(bucket.start_time, UTC).date(), bucket.results))
    return sorted(found, key=lambda day_and_rows: day_and_rows[0])


def _unix(day: date) -> int:
    """Unix seconds of the day's midnight, UTC."""
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())

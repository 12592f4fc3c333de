"""What a caller asks of costs or usage, checked as strictly as the API checks it."""

from __future__ import annotations

import base64
import binascii
import calendar
import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

from finops_pipeline.simulator.catalogue import UsageEndpoint
from finops_pipeline.simulator.errors import bad_parameter
from finops_pipeline.simulator.organization import API_KEY_GROUPING_SINCE
from finops_pipeline.simulator.usage import ENDPOINTS

DIMENSIONS = ("project_id", "line_item", "api_key_id", "user_id", "api_source")
MAX_LIMIT = 180
DEFAULT_LIMIT = 7
CLAMPED_LIMIT = 31
MAX_USAGE_LIMIT = 31
_LATEST = 253_402_300_799  # 9999-12-31, the last second that a date can hold

_SINGLE = ("start_time", "end_time", "bucket_width", "limit", "page")
_FILTERS = {"project_ids": "project_id", "api_key_ids": "api_key_id"}
_USAGE_FILTERS = {**_FILTERS, "user_ids": "user_id", "models": "model"}


@dataclass(frozen=True)
class BucketQuery:
    """One page: buckets ``first`` (inclusive) to ``end`` (exclusive), UTC days.

    Attributes:
        since, until: The asked window in unix seconds; ``until`` is now where none was asked.
        only: Dimension → the values that are wanted; none: everything.
        digest: Stands for the exact query; page tokens are bound to it.
    """

    first: date
    end: date
    since: int
    until: int
    limit: int
    dimensions: frozenset[str]
    only: dict[str, frozenset[str]]
    digest: str

    @property
    def days(self) -> list[date]:
        """The buckets of this page."""
        count = min(self.limit, max(0, (self.end - self.first).days))
        return [self.first + timedelta(days=number) for number in range(count)]

    @property
    def has_more(self) -> bool:
        return self.first + timedelta(days=self.limit) < self.end

    def token(self, first: date) -> str:
        """The page token that continues this same query at ``first``; it contains ``=``."""
        return "page_" + base64.b64encode(f"{self.digest}{first}".encode()).decode()


def parse_costs_query(
    parameters: Sequence[tuple[str, str]], *, now: datetime, clamp: bool, bound_to: str
) -> BucketQuery:
    """Check a costs query.

    Args:
        parameters: Name and value pairs as they came.
        now: The simulator's clock; no window may end after it.
        clamp: Whether a limit above 31 is silently treated as 31.
        bound_to: What else page tokens are bound to: the organization.

    Raises:
        RefusalError: 400 with the parameter's name.
    """
    single, lists = _sorted_out(parameters, _FILTERS)
    start, end = _window(single, now)
    if end > int(now.timestamp()):
        raise bad_parameter("end_time", "'end_time' must not be in the future.")
    dimensions = _dimensions(lists, DIMENSIONS)
    if "api_key_id" in dimensions and start < (earliest := _midnight(API_KEY_GROUPING_SINCE)):
        raise bad_parameter(
            "start_time", f"Grouping by api_key_id is supported from start_time {earliest} on."
        )
    limit = _limit(single, MAX_LIMIT)
    query = _query(single, lists, _FILTERS, start, end, limit, dimensions, bound_to)
    return replace(query, limit=min(limit, CLAMPED_LIMIT)) if clamp else query


def parse_usage_query(
    parameters: Sequence[tuple[str, str]], endpoint: UsageEndpoint, *, now: datetime, bound_to: str
) -> BucketQuery:
    """Check a usage query. Only daily buckets are simulated; a window may end in the future.

    Args:
        parameters: Name and value pairs as they came.
        endpoint: The usage endpoint that is asked.
        now: The simulator's clock, at which the last bucket ends.
        bound_to: What else page tokens are bound to: the organization.

    Raises:
        RefusalError: 400 with the parameter's name.
    """
    known = ENDPOINTS[endpoint].dimensions
    filters = {name: about for name, about in _USAGE_FILTERS.items() if about in known}
    single, lists = _sorted_out(parameters, filters)
    start, end = _window(single, now)
    dimensions = _dimensions(lists, known)
    limit = _limit(single, MAX_USAGE_LIMIT)
    end = min(end, int(now.timestamp()))
    if start >= end:
        raise bad_parameter("start_time", "'start_time' must not be in the future.")
    bound_to = f"{bound_to}/{endpoint}"
    return _query(single, lists, filters, start, end, limit, dimensions, bound_to)


def parse_legacy_query(parameters: Sequence[tuple[str, str]], *, today: date) -> date:
    """Check a query of the legacy endpoint; the UTC day that it asks for.

    Raises:
        RefusalError: 400 with the parameter's name.
    """
    asked = dict(parameters)
    if unknown := sorted(asked.keys() - {"date"}):
        raise bad_parameter(unknown[0], f"Unknown parameter: '{unknown[0]}'.")
    if "date" not in asked:
        raise bad_parameter("date", "Missing required parameter: 'date'.")
    text = asked["date"]
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = None
    if day is None or day.isoformat() != text:
        raise bad_parameter("date", "Invalid value for 'date': expected YYYY-MM-DD.")
    if day > today:
        raise bad_parameter("date", "'date' must not be in the future.")
    return day


def _window(single: dict[str, str], now: datetime) -> tuple[int, int]:
    """Start and end in unix seconds, by default until now."""
    if "start_time" not in single:
        raise bad_parameter("start_time", "Missing required parameter: 'start_time'.")
    start = _integer("start_time", single["start_time"])
    end = int(now.timestamp())
    if "end_time" in single:
        end = _integer("end_time", single["end_time"])
    if start >= end:
        raise bad_parameter("start_time", "'start_time' must be before 'end_time'.")
    if (width := single.get("bucket_width", "1d")) != "1d":
        raise bad_parameter("bucket_width", f"Invalid value: '{width}'. Supported value: '1d'.")
    return start, end


def _limit(single: dict[str, str], most: int) -> int:
    limit = _integer("limit", single.get("limit", str(DEFAULT_LIMIT)))
    if not 1 <= limit <= most:
        raise bad_parameter("limit", f"'limit' must be between 1 and {most}.")
    return limit


def _dimensions(lists: dict[str, list[str]], known: Sequence[str]) -> frozenset[str]:
    dimensions = frozenset(lists["group_by"])
    if unsupported := sorted(dimensions.difference(known)):
        raise bad_parameter(
            "group_by", f"Invalid value: '{unsupported[0]}'. Supported values: {tuple(known)}."
        )
    return dimensions


def _query(
    single: dict[str, str],
    lists: dict[str, list[str]],
    filters: dict[str, str],
    start: int,
    end: int,
    limit: int,
    dimensions: frozenset[str],
    bound_to: str,
) -> BucketQuery:
    asked_end = single.get("end_time")
    exact = [bound_to, start, asked_end, limit, *(sorted(set(lists[name])) for name in lists)]
    digest = hashlib.sha256(json.dumps(exact).encode()).hexdigest()[:16]
    return BucketQuery(
        first=_opened(single["page"], digest) if "page" in single else _day(start),
        # The bucket that holds the last second before the end is the last one.
        end=_day(end - 1) + timedelta(days=1),
        since=start,
        until=end,
        limit=limit,
        dimensions=dimensions,
        only={about: frozenset(lists[name]) for name, about in filters.items() if lists[name]},
        digest=digest,
    )


def _sorted_out(
    parameters: Sequence[tuple[str, str]], filters: Iterable[str]
) -> tuple[dict[str, str], dict[str, list[str]]]:
    single: dict[str, str] = {}
    lists: dict[str, list[str]] = {name: [] for name in ("group_by", *filters)}
    for name, value in parameters:
        bare = name.removesuffix("[]")
        if bare in lists:
            lists[bare] += [part for part in value.split(",") if part]
        elif name in _SINGLE:
            single[name] = value
        else:
            raise bad_parameter(name, f"Unknown parameter: '{name}'.")
    return single, lists


def _integer(name: str, value: str) -> int:
    if (
        not (value.isascii() and value.isdigit())
        or len(value) > len(str(_LATEST))
        or int(value) > _LATEST
    ):
        raise bad_parameter(name, f"Invalid type for '{name}': expected an integer.")
    return int(value)


def _day(seconds: int) -> date:
    return datetime.fromtimestamp(seconds, UTC).date()


def _midnight(day: date) -> int:
    return calendar.timegm(day.timetuple())


def _opened(token: str, digest: str) -> date:
    try:
        content = base64.b64decode(token.removeprefix("page_"), validate=True).decode("ascii")
        first = date.fromisoformat(content.removeprefix(digest))
    except (binascii.Error, ValueError):
        first = None
    if first is None or not content.startswith(digest):
        raise bad_parameter("page", "Invalid page token: it belongs to another query.")
    return first

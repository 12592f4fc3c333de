"""What a caller asks of the costs endpoint, checked as strictly as the API checks it."""

from __future__ import annotations

import base64
import binascii
import calendar
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from finops_pipeline.simulator.errors import bad_parameter
from finops_pipeline.simulator.organization import API_KEY_GROUPING_SINCE

DIMENSIONS = ("project_id", "line_item", "api_key_id", "user_id", "api_source")
MAX_LIMIT = 180
DEFAULT_LIMIT = 7
CLAMPED_LIMIT = 31
_LATEST = 253_402_300_799  # 9999-12-31, the last second that a date can hold

_SINGLE = ("start_time", "end_time", "bucket_width", "limit", "page")
_LISTS = ("group_by", "project_ids", "api_key_ids")


@dataclass(frozen=True)
class CostsQuery:
    """One page of costs: buckets ``first`` (inclusive) to ``end`` (exclusive), UTC days.

    Attributes:
        digest: Stands for the exact query; page tokens are bound to it.
    """

    first: date
    end: date
    limit: int
    dimensions: frozenset[str]
    project_ids: frozenset[str]
    api_key_ids: frozenset[str]
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
) -> CostsQuery:
    """Check a costs query.

    Args:
        parameters: Name and value pairs as they came.
        now: The simulator's clock; no window may end after it.
        clamp: Whether a limit above 31 is silently treated as 31.
        bound_to: What else page tokens are bound to: the organization.

    Raises:
        RefusalError: 400 with the parameter's name.
    """
    single, lists = _sorted_out(parameters)
    if "start_time" not in single:
        raise bad_parameter("start_time", "Missing required parameter: 'start_time'.")
    start = _integer("start_time", single["start_time"])
    end = _integer("end_time", single["end_time"]) if "end_time" in single else None
    seconds_now = int(now.timestamp())
    if end is not None and end > seconds_now:
        raise bad_parameter("end_time", "'end_time' must not be in the future.")
    if start >= (seconds_now if end is None else end):
        raise bad_parameter("start_time", "'start_time' must be before 'end_time'.")
    if (width := single.get("bucket_width", "1d")) != "1d":
        raise bad_parameter("bucket_width", f"Invalid value: '{width}'. Supported value: '1d'.")
    limit = _integer("limit", single.get("limit", str(DEFAULT_LIMIT)))
    if not 1 <= limit <= MAX_LIMIT:
        raise bad_parameter("limit", f"'limit' must be between 1 and {MAX_LIMIT}.")
    dimensions = frozenset(lists["group_by"])
    if unsupported := sorted(dimensions.difference(DIMENSIONS)):
        raise bad_parameter(
            "group_by", f"Invalid value: '{unsupported[0]}'. Supported values: {DIMENSIONS}."
        )
    if "api_key_id" in dimensions and start < (earliest := _midnight(API_KEY_GROUPING_SINCE)):
        raise bad_parameter(
            "start_time", f"Grouping by api_key_id is supported from start_time {earliest} on."
        )
    exact = [bound_to, start, end, limit, *(sorted(set(lists[name])) for name in _LISTS)]
    digest = hashlib.sha256(json.dumps(exact).encode()).hexdigest()[:16]
    first = datetime.fromtimestamp(start, UTC).date()
    # The bucket that holds the last second before the end is the last one.
    last = datetime.fromtimestamp((seconds_now if end is None else end) - 1, UTC).date()
    return CostsQuery(
        first=_opened(single["page"], digest) if "page" in single else first,
        end=last + timedelta(days=1),
        limit=min(limit, CLAMPED_LIMIT) if clamp else limit,
        dimensions=dimensions,
        project_ids=frozenset(lists["project_ids"]),
        api_key_ids=frozenset(lists["api_key_ids"]),
        digest=digest,
    )


def _sorted_out(
    parameters: Sequence[tuple[str, str]],
) -> tuple[dict[str, str], dict[str, list[str]]]:
    single: dict[str, str] = {}
    lists: dict[str, list[str]] = {name: [] for name in _LISTS}
    for name, value in parameters:
        bare = name.removesuffix("[]")
        if bare in _LISTS:
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

"""Buckets of usage as the bytes that go out, kept until the scenario's wire changes."""

from __future__ import annotations

import calendar
import json
from datetime import date, datetime, timedelta
from typing import Any

from finops_pipeline.simulator.catalogue import UsageEndpoint
from finops_pipeline.simulator.organization import Organization
from finops_pipeline.simulator.query import BucketQuery
from finops_pipeline.simulator.scenario import Wire
from finops_pipeline.simulator.usage import ENDPOINTS, OLD_TOKENS, UsageRow, rows

_HOUR = 3600
_DAY = 24 * _HOUR


class UsageBuckets:
    """Usage buckets of all organizations, rendered on first use.

    Memory grows by some 700 bytes a row and grouping.
    """

    def __init__(self) -> None:
        self._rendered: dict[tuple[object, ...], bytes] = {}

    def forget(self) -> None:
        """Render everything anew from now on."""
        self._rendered.clear()

    def bucket(
        self,
        organization: Organization,
        endpoint: UsageEndpoint,
        query: BucketQuery,
        day: date,
        wire: Wire,
    ) -> bytes:
        """One bucket, clipped to the window that was asked for, as usage does and costs do not."""
        midnight = calendar.timegm(day.timetuple())
        start, end = max(midnight, query.since), min(midnight + _DAY, query.until)
        only = tuple(sorted((name, *sorted(wanted)) for name, wanted in query.only.items()))
        key = (organization.simulated.id, endpoint, start, end, query.dimensions, only)
        if (rendered := self._rendered.get(key)) is None:
            told = organization.used(endpoint, day, (end - start) // _HOUR)
            found = rows(endpoint, told, query.dimensions, query.only)
            results = [_result(organization, endpoint, row, wire) for row in found]
            bucket: dict[str, Any] = {"object": "bucket", "start_time": start, "end_time": end}
            if wire.undocumented_fields:
                bucket |= {"start_time_iso": _iso(start), "end_time_iso": _iso(end)}
            rendered = json.dumps({**bucket, "results": results}, separators=(",", ":")).encode()
            self._rendered[key] = rendered
        return rendered


def _result(
    organization: Organization, endpoint: UsageEndpoint, row: UsageRow, wire: Wire
) -> dict[str, Any]:
    dimensions, measures = row
    if endpoint == "completions" and wire.old_usage_rows:
        measures = {name: measures[name] for name in OLD_TOKENS}
        dimensions = {name: each for name, each in dimensions.items() if name != "service_tier"}
    simulated = organization.simulated
    result: dict[str, Any] = {"object": f"organization.usage.{ENDPOINTS[endpoint].object}.result"}
    result |= measures | dimensions
    if wire.organization_id_on_usage:
        result |= {"organization_id": simulated.id, "organization_name": simulated.name}
    if wire.undocumented_fields and (user := dimensions.get("user_id")):
        result["user_email"] = f"{user}@acme.example"
    return result


def _iso(seconds: int) -> str:
    # Without offset, as it has been seen: nobody can rely on these two.
    return (datetime(1970, 1, 1) + timedelta(seconds=seconds)).isoformat()  # noqa: DTZ001

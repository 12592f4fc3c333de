"""The legacy usage endpoint: one project's day in slots of five minutes, list by list."""

from __future__ import annotations

import calendar
import hashlib
import math
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

from finops_pipeline.simulator.catalogue import UsageEndpoint
from finops_pipeline.simulator.errors import too_many_requests
from finops_pipeline.simulator.organization import Organization
from finops_pipeline.simulator.scenario import LegacyLimit, Wire
from finops_pipeline.simulator.usage import ENDPOINTS, UsageRow, rows

_HOUR = 3600
_SLOT = 300
_SLOTS_AN_HOUR = _HOUR // _SLOT

_OPERATIONS: dict[UsageEndpoint, str] = {
    "completions": "completion",
    "embeddings": "embeddings",
    "moderations": "moderation",
}
"""What the lists of tokens call the endpoints that they count."""

_TOKENS = {
    "n_context_tokens_total": "input_tokens",
    "n_cached_context_tokens_total": "input_cached_tokens",
    "n_context_audio_tokens_total": "input_audio_tokens",
    "n_generated_tokens_total": "output_tokens",
    "n_generated_audio_tokens_total": "output_audio_tokens",
}
_OTHERS: dict[UsageEndpoint, tuple[str, str, str]] = {
    "images": ("dalle_api_data", "num_images", "images"),
    "audio_transcriptions": ("whisper_api_data", "num_seconds", "seconds"),
    "audio_speeches": ("tts_api_data", "num_characters", "characters"),
}
"""Endpoint → its list, the legacy name of its measure, and the name that usage has for it."""


class CallsOfKeys:
    """Counts calls by key, and refuses those over the limit.

    Args:
        clock: Monotonic seconds.
    """

    def __init__(self, limit: LegacyLimit, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._clock = clock
        self._calls: dict[str, deque[float]] = defaultdict(deque)

    def clear(self) -> None:
        self._calls.clear()

    def count(self, key: str) -> None:
        """Count a call; one that is refused does not count.

        Raises:
            RefusalError: 429 with the whole seconds after which the next call is taken.
        """
        calls, now = self._calls[key], self._clock()
        while calls and calls[0] <= now - self._limit.seconds:
            calls.popleft()
        if len(calls) >= self._limit.calls:
            raise too_many_requests(math.ceil(calls[0] + self._limit.seconds - now))
        calls.append(now)


def legacy_answer(
    organization: Organization, project_id: str, day: date, hours: int, wire: Wire
) -> dict[str, Any]:
    """What a key of a project is told of the first ``hours`` hours of a UTC day."""
    lists: dict[str, list[dict[str, Any]]] = {
        "data": [],
        "ft_data": [],
        **{dataset: [] for dataset, _, _ in _OTHERS.values()},
    }
    for endpoint in (*_OPERATIONS, *_OTHERS):
        told = organization.counted(endpoint, day, hours)
        for row in rows(
            endpoint,
            told,
            frozenset(ENDPOINTS[endpoint].dimensions),
            {"project_id": frozenset({project_id})},
        ):
            for slot, measures in _spread(row, day, hours):
                common = _common(organization, row, wire)
                if endpoint in _OPERATIONS:
                    name = "ft_data" if str(row[0]["model"]).startswith("ft:") else "data"
                    lists[name].append(_tokens(endpoint, row, slot, measures) | common)
                else:
                    name, _, _ = _OTHERS[endpoint]
                    lists[name].append(_other(endpoint, row, slot, measures) | common)
    return {"object": "list", **lists, "current_usage_usd": 0.0}


def _spread(row: UsageRow, day: date, hours: int) -> Iterator[tuple[int, dict[str, int]]]:
    """A day's row over one slot of each hour; the parts add up to it."""
    dimensions, measures = row
    digest = hashlib.sha256(repr(sorted(dimensions.items(), key=str)).encode()).digest()
    first = calendar.timegm(day.timetuple()) + digest[0] % _SLOTS_AN_HOUR * _SLOT
    for hour in range(hours):
        part = {
            name: total * (hour + 1) // hours - total * hour // hours
            for name, total in measures.items()
        }
        if any(part.values()):
            yield first + hour * _HOUR, part


def _common(organization: Organization, row: UsageRow, wire: Wire) -> dict[str, Any]:
    dimensions, _ = row
    projects = {project.id: project.name for project in organization.simulated.projects}
    common = {"project_id": dimensions["project_id"], "api_key_id": dimensions["api_key_id"]}
    if wire.undocumented_fields:
        common |= {
            "organization_id": organization.simulated.id,
            "organization_name": organization.simulated.name,
            "project_name": projects[str(dimensions["project_id"])],
            "api_key_name": None,
            "api_key_redacted": "sk-...abcd",
            "email": f"{dimensions['user_id']}@acme.example",
        }
    return common


def _tokens(
    endpoint: UsageEndpoint, row: UsageRow, slot: int, measures: dict[str, int]
) -> dict[str, Any]:
    dimensions, _ = row
    return {
        "aggregation_timestamp": slot,
        "n_requests": measures["num_model_requests"],
        "operation": _OPERATIONS[endpoint],
        "snapshot_id": dimensions["model"],
        **{legacy: measures[name] for legacy, name in _TOKENS.items() if name in measures},
        "request_type": "batch" if dimensions.get("batch") else "",
    }


def _other(
    endpoint: UsageEndpoint, row: UsageRow, slot: int, measures: dict[str, int]
) -> dict[str, Any]:
    dimensions, _ = row
    _, legacy, name = _OTHERS[endpoint]
    size = {"image_size": dimensions["size"]} if endpoint == "images" else {}
    return {
        "timestamp": slot,
        "model_id": dimensions["model"],
        legacy: measures[name],
        "num_requests": measures["num_model_requests"],
        **size,
    }

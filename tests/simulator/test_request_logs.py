"""Simulated request logs add up to simulated usage."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from finops_pipeline.request_logs import RequestLine
from finops_pipeline.simulator import Scenario
from finops_pipeline.simulator.organization import Organization
from finops_pipeline.simulator.requests import requests_of_day, write_request_logs
from finops_pipeline.simulator.usage import ENDPOINTS, rows

DAY = date(2026, 11, 9)
SCENARIO = Scenario.demo(now=datetime(2026, 11, 10, tzinfo=UTC), days=30)
MEASURES = (
    "input_tokens",
    "input_cached_tokens",
    "input_audio_tokens",
    "input_image_tokens",
    "input_cached_image_tokens",
    "output_tokens",
    "output_audio_tokens",
    "output_image_tokens",
)


def organizations() -> list[Organization]:
    return [
        Organization(each, seed=SCENARIO.seed, start=SCENARIO.start)
        for each in SCENARIO.organizations
    ]


def logged(organization: Organization, tokens_per_request: int = 30_000) -> list[dict[str, Any]]:
    return list(
        requests_of_day(
            organization, DAY, seed=SCENARIO.seed, tokens_per_request=tokens_per_request
        )
    )


@pytest.mark.parametrize("organization", organizations(), ids=lambda each: each.simulated.name)
def test_requests_add_up_to_usage(organization: Organization) -> None:
    expected: Counter[tuple[Any, ...]] = Counter()
    for endpoint in ("completions", "embeddings"):
        dimensions = frozenset(ENDPOINTS[endpoint].dimensions)
        for about, measures in rows(endpoint, organization.used(endpoint, DAY), dimensions, {}):
            names = ("project_id", "api_key_id", "model", "service_tier", "batch")
            key = tuple(about.get(name) for name in names)
            expected.update({(*key, name): measures.get(name, 0) for name in MEASURES})
    found: Counter[tuple[Any, ...]] = Counter()
    for request in logged(organization):
        names = ("openai_project_id", "api_key_id", "model", "service_tier", "is_batch")
        key = tuple(request.get(name) for name in names)
        found.update({(*key, name): request.get(name, 0) for name in MEASURES})
    assert +found == +expected
    assert sum(expected.values()) > 10_000_000


def test_requests_are_of_the_day_and_told_apart() -> None:
    requests = [request for each in organizations() for request in logged(each)]
    assert len({request["request_id"] for request in requests}) == len(requests) > 1_000
    midnight = datetime(DAY.year, DAY.month, DAY.day, tzinfo=UTC)
    for request in requests:
        moment = datetime.fromisoformat(request["requested_at"])
        assert midnight <= moment < midnight + timedelta(days=1)
    assert len({request["user_id"] for request in requests}) > 20
    assert len({request["action"] for request in requests}) > 3


def test_requests_of_long_context_are_long() -> None:
    research = organizations()[1]
    long = [request for request in logged(research) if request["input_tokens"] > 272_000]
    assert {request["model"] for request in long} == {"gpt-4.1-2025-04-14"}


def test_files_are_always_the_same_and_as_the_schema_has_it(tmp_path: Path) -> None:
    written = [
        write_request_logs(
            SCENARIO, tmp_path / name, DAY - timedelta(days=1), DAY, tokens_per_request=50_000
        )
        for name in ("one", "other")
    ]
    first, second = ([path.read_bytes() for path in paths] for paths in written)
    assert first == second
    assert len(first) == 4
    for content in first:
        for line in content.splitlines():
            msgspec.json.decode(line, type=RequestLine)

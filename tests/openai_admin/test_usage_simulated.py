"""The client against the simulator: both sides of usage, over HTTP."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from finops_pipeline.openai_admin import ENDPOINTS, AdminClient, OpenAIError, UsageEndpoint
from finops_pipeline.simulator import Fault, Scenario, SimulatedServer
from tests.openai_admin.conftest import FAST

START = date(2026, 9, 1)
END = date(2026, 11, 1)
TOKENS: tuple[UsageEndpoint, ...] = ("completions", "embeddings", "moderations")


@pytest.fixture(scope="module")
def company() -> Any:
    now = datetime(2026, 11, 1, 9, tzinfo=UTC)
    with SimulatedServer(Scenario.demo(start=START, now=now)) as server:
        yield server


def client_of(server: SimulatedServer, number: int = 0) -> AdminClient:
    key = server.scenario.registration.teams[number].admin_key
    return AdminClient(team_id="growth", base_url=server.base_url, api_key=lambda: key, retry=FAST)


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_every_endpoint_is_read_whole(
    company: SimulatedServer, endpoint: UsageEndpoint, named: bool
) -> None:
    company.control.set_wire(organization_id_on_usage=named)
    with client_of(company) as client:
        buckets = [
            bucket
            for page in client.usage(endpoint, START, date(2026, 11, 5))
            for bucket in page.buckets
        ]
    assert [bucket.day for bucket in buckets] == [
        START + timedelta(days=number) for number in range((END - START).days)
    ]
    assert {name for bucket in buckets for name in bucket.unknown_fields} == set()
    filled = [bucket for bucket in buckets if bucket.rows.num_rows]
    organization = company.scenario.organizations[0].id if named else None
    assert {bucket.organization_id for bucket in filled} <= {organization}
    for bucket in filled:
        for measure in ENDPOINTS[endpoint].measures:
            assert bucket.rows[measure].null_count == 0


def test_used_tokens_are_billed_tokens(company: SimulatedServer) -> None:
    def tokens(rows: list[dict[str, Any]], *measures: str) -> Decimal:
        return sum((row[name] or Decimal(0) for row in rows for name in measures), Decimal(0))

    used: dict[date, Decimal] = defaultdict(Decimal)
    billed: dict[date, Decimal] = defaultdict(Decimal)
    with client_of(company, 2) as client:
        for endpoint in TOKENS:
            for page in client.usage(endpoint, START, END):
                for bucket in page.buckets:
                    rows = bucket.rows.to_pylist()
                    used[bucket.day] += tokens(rows, "input_tokens", "output_tokens")
        for costs in client.costs(START, END, rows_per_bucket=None):
            for bucket in costs.buckets:
                rows = [r for r in bucket.rows.to_pylist() if r["quantity_unit"] == "tokens"]
                billed[bucket.day] += tokens(rows, "quantity")
    assert used == billed
    assert len(used) == 61


def test_faults_are_survived_or_told(company: SimulatedServer) -> None:
    company.control.plant_fault(Fault(kind="status", status=503, endpoint="images", times=2))
    company.control.plant_fault(Fault(kind="truncated", endpoint="embeddings", times=1))
    company.control.plant_fault(Fault(kind="missing_data", endpoint="completions"))
    with client_of(company) as client:
        for endpoint in ("images", "embeddings"):
            assert sum(len(page.buckets) for page in client.usage(endpoint, START, END)) == 61
        with pytest.raises(OpenAIError, match="not a page of buckets") as caught:
            list(client.usage("completions", START, END))
    assert caught.value.reason == "broken_answer"
    company.control.reset()


def test_a_refused_endpoint_is_unsupported_and_a_silent_one_empty() -> None:
    scenario = Scenario.gapped("refused_endpoint", "silent_endpoint", days=9, projects=2)
    with SimulatedServer(scenario) as server, client_of(server) as client:
        with pytest.raises(OpenAIError) as caught:
            list(client.usage("audio_transcriptions", scenario.start, END))
        assert caught.value.reason == "unsupported"
        rows = [
            bucket.rows.num_rows
            for page in client.usage("embeddings", scenario.start, END)
            for bucket in page.buckets
        ]
        refused = [each for each in server.control.requests() if each.status == 404]
    assert rows.count(0) == 3
    assert len(refused) == 1

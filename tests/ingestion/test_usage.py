"""Usage lands as costs do, endpoint by endpoint, and none of them takes another down with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Literal

import pyarrow as pa
import pytest

from finops_pipeline.ingestion.endpoints import ALL_ENDPOINTS, COSTS_ENDPOINT, USAGE_ENDPOINTS
from finops_pipeline.ingestion.leftovers import delete_incomplete_loads
from finops_pipeline.ingestion.outcome import Collection
from finops_pipeline.ingestion.tables import RAW_TABLES
from finops_pipeline.openai_admin import ENDPOINTS, MEASURES
from finops_pipeline.simulator import Fault, Scenario
from finops_pipeline.simulator.model import EndpointGap
from tests.ingestion.company import (
    DIGITAL,
    FIRST,
    TEAMS,
    SimulatedCompany,
    admin_key,
    three_teams,
)

LAST = FIRST + timedelta(days=2)
DAYS = 3
NAMES = [endpoint.name for endpoint in USAGE_ENDPOINTS]

CURRENT_USAGE = """
WITH newest AS (
  SELECT * FROM raw.collections WHERE status = 'ok'
  QUALIFY row_number() OVER (
    PARTITION BY team_id, endpoint, cost_date ORDER BY collected_at DESC
  ) = 1
)
SELECT usage.* FROM newest INNER JOIN raw.usage USING (revision_id)
WHERE newest.team_id = $team
"""

Sums = dict[tuple[str, date, str], Decimal]


def collect(company: SimulatedCompany, *teams: str) -> Collection:
    return company.collect(FIRST, LAST, teams, endpoints=ALL_ENDPOINTS)


def landed(company: SimulatedCompany, team: str = "search") -> Sums:
    """What the newest readings of a team say, per endpoint, day and measure."""
    sums = ", ".join(f"sum({measure}) AS {measure}" for measure in MEASURES)
    rows = company.raw(
        f"SELECT endpoint, cost_date, {sums} FROM ({CURRENT_USAGE}) GROUP BY ALL", team=team
    )
    return _without_nulls({(endpoint, day): values for endpoint, day, *values in rows})


def told(company: SimulatedCompany, team: str = "search") -> Sums:
    """What the API says of it, read without the pipeline."""
    found: dict[tuple[str, date], list[Decimal | None]] = {}
    with company.client(team, lambda: admin_key(team)) as client:
        for endpoint in ENDPOINTS:
            for page in client.usage(endpoint, FIRST, LAST + timedelta(days=1)):
                for bucket in page.buckets:
                    if bucket.rows.num_rows:
                        rows = pa.Table.from_batches([bucket.rows]).to_pydict()
                        found[endpoint, bucket.day] = [
                            sum(known)
                            if (known := [v for v in rows[name] if v is not None])
                            else None
                            for name in MEASURES
                        ]
    return _without_nulls(found)


def _without_nulls(found: dict[tuple[str, date], list[Decimal | None]]) -> Sums:
    return {
        (*bucket, measure): value
        for bucket, values in found.items()
        for measure, value in zip(MEASURES, values, strict=True)
        if value is not None
    }


def asked(company: SimulatedCompany) -> Counter[str]:
    """Requests since the last look, by the end of their path."""
    requests = company.server.control.requests()
    company.server.control.reset_requests()
    return Counter(request.path.rsplit("/", 1)[-1] for request in requests)


def statuses(company: SimulatedCompany, team: str) -> dict[str, str]:
    """Endpoint → how its days were read, where all of them were read alike."""
    return dict(
        company.raw(
            "SELECT endpoint, string_agg(DISTINCT status, ' and ') FROM raw.collections "
            "WHERE team_id = $team GROUP BY endpoint HAVING count(*) >= $days",
            team=team,
            days=DAYS,
        )
    )


@pytest.fixture
def refusing(make_company: Callable[[Scenario], SimulatedCompany]) -> SimulatedCompany:
    """An organization without transcriptions and moderations."""
    scenario = three_teams()
    gaps = (
        EndpointGap(cause="refused_endpoint", endpoint="audio_transcriptions"),
        EndpointGap(cause="refused_endpoint", endpoint="moderations", status=400),
    )
    digital, labs = scenario.organizations
    organizations = (digital.model_copy(update={"endpoint_gaps": gaps}), labs)
    return make_company(scenario.model_copy(update={"organizations": organizations}))


def test_everything_lands_as_it_was_told(company: SimulatedCompany) -> None:
    collection = collect(company)
    assert collection.failed_teams == {}
    assert {endpoint for endpoint, _, _ in landed(company)} >= {"completions", "web_search_calls"}
    for team in TEAMS:
        assert landed(company, team) == told(company, team)
        assert statuses(company, team) == dict.fromkeys(["costs", *NAMES], "ok")
    assert collection.rows_landed == company.count("costs") + company.count("usage")
    assert company.seen("search") == company.truth(DIGITAL, FIRST, LAST)
    # What is no money has none, and an endpoint without rows was read all the same.
    assert company.entries("DISTINCT cost, currency", "endpoint <> 'costs'") == [(None, None)]
    assert (
        company.entries(
            "row_count, content_hash IS NULL", "team_id = 'search' AND endpoint = 'images'"
        )
        == [(0, False)] * DAYS
    )


def test_an_unchanged_reading_is_a_ledger_entry_alone(company: SimulatedCompany) -> None:
    collect(company)
    rows = company.count("usage")
    again = collect(company)
    assert again.rows_landed == 0
    assert company.count("usage") == rows > 0
    assert company.count("collections") == 2 * len(TEAMS) * len(ALL_ENDPOINTS) * DAYS
    assert company.raw("SELECT count(DISTINCT revision_id) FROM raw.collections") == [
        (len(TEAMS) * len(ALL_ENDPOINTS) * DAYS,)
    ]


@pytest.mark.parametrize("factor", [Decimal("1.5"), Decimal(0)], ids=["more", "nothing"])
def test_a_restatement_is_a_revision_of_its_own_bucket_alone(
    company: SimulatedCompany, factor: Decimal
) -> None:
    collect(company, "search")
    before = landed(company)
    company.server.control.restate_usage(DIGITAL, FIRST, "completions", factor=factor)
    again = collect(company, "search")
    changed = [(bucket.endpoint, bucket.day) for bucket in again.buckets if bucket.changed]
    assert changed == [("completions", FIRST)]
    after = landed(company)
    assert after == told(company) != before


def test_what_openai_does_not_offer_is_on_record_and_no_failure(refusing: SimulatedCompany) -> None:
    collection = collect(refusing, "search")
    assert collection.failed_teams == {}
    without = {"audio_transcriptions", "moderations"}
    assert statuses(refusing, "search") == dict.fromkeys(["costs", *NAMES], "ok") | dict.fromkeys(
        without, "unsupported"
    )
    errors = refusing.entries("DISTINCT error", "endpoint = 'moderations'")
    assert len(errors) == 1
    assert "does not offer it here (400" in errors[0][0]
    requests = asked(refusing)
    assert {name: requests[name] for name in without} == dict.fromkeys(without, 1)
    assert landed(refusing)


@pytest.mark.parametrize("endpoint", ["completions", "costs"])
def test_an_endpoint_that_is_down_fails_alone(
    company: SimulatedCompany, endpoint: Literal["completions", "costs"]
) -> None:
    status = 404 if endpoint == "costs" else 500
    company.server.control.plant_fault(
        Fault(
            kind="status",
            status=status,
            endpoint=endpoint,
            key=admin_key("search"),
        )
    )
    collection = collect(company)
    assert list(collection.failed_teams) == ["search"]
    reason = collection.failed_teams["search"]
    assert f"OpenAI answered {status}" in reason
    assert endpoint.replace("_", " ") in reason
    assert statuses(company, "search") == dict.fromkeys(["costs", *NAMES], "ok") | {
        endpoint: "failed"
    }
    assert set(statuses(company, "support").values()) == {"ok"}
    assert collection.failed_at([endpoint]) == {"search": reason}
    assert collection.failed_at([name for name in ["costs", *NAMES] if name != endpoint]) == {}
    assert bool(company.seen("search")) == (endpoint != "costs")
    assert landed(company)

    company.server.control.clear_faults()
    again = collect(company)
    assert {(bucket.team_id, bucket.endpoint) for bucket in again.buckets if bucket.changed} == {
        ("search", endpoint)
    }
    assert landed(company) == told(company)
    assert company.seen("search") == company.truth(DIGITAL, FIRST, LAST)


@pytest.mark.parametrize("key", ["nobody", "lists-only"], ids=["bad key", "missing scope"])
def test_what_is_wrong_with_the_key_is_asked_once(company: SimulatedCompany, key: str) -> None:
    company.register("stray", admin_key(key))
    company.server.control.reset_requests()
    collection = collect(company, "stray")
    assert statuses(company, "stray") == dict.fromkeys(["costs", *NAMES], "failed")
    assert len(set(collection.failed_teams.values())) == 1
    paths = asked(company)
    # The key is read once more, because it may have been rotated.
    assert paths.pop("projects") <= 2
    assert set(paths) == {"costs"}
    assert paths["costs"] <= 2


def test_an_api_that_is_out_is_not_asked_at_every_endpoint(company: SimulatedCompany) -> None:
    company.server.control.plant_fault(Fault(kind="status", key=admin_key("search")))
    company.server.control.reset_requests()
    collect(company, "search")
    assert statuses(company, "search") == dict.fromkeys(["costs", *NAMES], "failed")
    assert set(asked(company)) == {"projects", "costs", *NAMES[:2]}


def test_a_resumed_collection_reads_the_endpoints_that_were_not(refusing: SimulatedCompany) -> None:
    read = ("costs", "completions", "moderations")
    first = [endpoint for endpoint in ALL_ENDPOINTS if endpoint.name in read]
    refusing.collect(FIRST, LAST, ["search"], endpoints=first)
    refusing.server.control.reset_requests()
    again = refusing.collect(
        FIRST, LAST, ["search"], endpoints=ALL_ENDPOINTS, resumed_runs=["a-run"]
    )
    assert set(asked(refusing)) == {"projects", *NAMES} - set(read)
    assert {bucket.endpoint for bucket in again.read_before} == set(read)
    assert len(again.read_before) == len(read) * DAYS
    assert len(again.buckets) == (len(ALL_ENDPOINTS) - len(read)) * DAYS


def test_a_quarter_takes_three_requests_an_endpoint(company: SimulatedCompany) -> None:
    company.server.control.set_clock(datetime(2026, 4, 15, 9, tzinfo=UTC))
    company.collect(FIRST, date(2026, 3, 31), ["research"], endpoints=ALL_ENDPOINTS)
    assert asked(company) == Counter(
        {"projects": 1, COSTS_ENDPOINT.name: 2} | dict.fromkeys(NAMES, 3)
    )


def test_a_warehouse_from_before_there_was_usage_goes_on(
    company: SimulatedCompany, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as earlier:
        earlier.delitem(RAW_TABLES, "usage")
        company.warehouse.path.unlink()
        company.collect(FIRST, teams=["search"])
    assert company.raw("SELECT 1 FROM duckdb_tables() WHERE table_name = 'usage'") == []
    swept = delete_incomplete_loads(company.warehouse, before=datetime.now(UTC))
    assert swept["usage"] == 0
    now = company.collect(FIRST, teams=["search"], endpoints=ALL_ENDPOINTS)
    assert {bucket.endpoint for bucket in now.buckets if not bucket.changed} == {"costs"}
    assert company.count("usage") == now.rows_landed > 0

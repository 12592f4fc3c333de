"""How `finops run` ends when teams could not be read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from finops_pipeline.orchestration.run import Runner
from finops_pipeline.registry import open_registry
from finops_pipeline.settings import load_settings
from finops_pipeline.simulator import Fault, Scenario, SimulatedServer

Finops = Callable[..., Any]


@pytest.fixture
def company(data: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimulatedServer]:
    """The demonstration's company, registered."""
    scenario = Scenario.demo(start=date(2026, 1, 1), now=datetime(2026, 4, 15, 9, tzinfo=UTC))
    with SimulatedServer(scenario) as server:
        monkeypatch.setenv("FINOPS_OPENAI_BASE_URL", server.base_url)
        with open_registry(load_settings()) as registry:
            for team in scenario.registration.teams:
                registry.add_team(team.team_id)
                registry.register_key(team.team_id, team.admin_key)
        yield server


@pytest.mark.slow
def test_a_run_ends_with_1_where_no_team_was_read_and_with_3_where_some_were(
    finops: Finops, company: SimulatedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    days = ("--from", "2026-01-01", "--to", "2026-01-02")
    refusal = Fault(kind="status", endpoint="costs", status=401, message="Incorrect API key")
    company.control.plant_fault(refusal)
    with monkeypatch.context() as patched:
        patched.setattr(Runner, "build", lambda _: None)  # the next run builds
        nothing = finops("run", *days)
    assert nothing.code == 1
    last = nothing.stderr.splitlines()[-1]
    assert last.startswith("Error: No team could be read.")
    assert nothing.stderr.count("Warning: team ") == 3

    company.control.clear_faults()
    (support,) = (team for team in company.scenario.registration.teams if team.team_id == "support")
    company.control.plant_fault(refusal.model_copy(update={"key": support.admin_key}))
    some = finops("run", *days, "--json")
    assert some.code == 3
    report = json.loads(some.stdout)
    assert (report["buckets_read"], report["buckets_failed"]) == (4 * 11, 2 * 11)
    assert list(report["failed_teams"]) == ["support"]
    assert "Warning: team support failed: " in some.stderr
    assert "Error" not in some.stderr
    status = finops(
        "query",
        "SELECT team_id, status, count(DISTINCT cost_date) AS days FROM rpt_collection_status "
        "WHERE cost_date < '2026-01-03' GROUP BY ALL ORDER BY ALL",
        "--json",
    )
    assert json.loads(status.stdout) == [
        {"team_id": "research", "status": "ok", "days": 2},
        {"team_id": "search", "status": "ok", "days": 2},
        {"team_id": "support", "status": "failed", "days": 2},
    ]

    assert support.admin_key not in nothing.stderr + some.stderr

"""`finops run` collects usage beside costs, and says how each endpoint went."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from finops_pipeline.openai_admin import AdminClient
from finops_pipeline.orchestration.run import Runner
from finops_pipeline.registry import open_registry
from finops_pipeline.settings import load_settings
from finops_pipeline.simulator import Fault, Scenario, SimulatedServer
from tests.workplace import IMPATIENT

Finops = Callable[..., Any]


@pytest.fixture
def company(data: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimulatedServer]:
    """A company whose organization does without transcriptions, registered."""
    scenario = Scenario.gapped("refused_endpoint", projects=2, days=20, end=date(2026, 3, 1))
    with SimulatedServer(
        scenario.model_copy(update={"now": datetime(2026, 3, 1, 9, tzinfo=UTC)})
    ) as server:
        monkeypatch.setenv("FINOPS_OPENAI_BASE_URL", server.base_url)
        with open_registry(load_settings()) as registry:
            for team in scenario.registration.teams:
                registry.add_team(team.team_id)
                registry.register_key(team.team_id, team.admin_key)
        yield server


@pytest.mark.slow
def test_an_endpoint_that_is_refused_is_told_and_one_that_is_down_makes_it_3(
    finops: Finops, company: SimulatedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Runner, "build", lambda _: None)  # tested elsewhere, and takes long
    monkeypatch.setattr(AdminClient.__init__, "__kwdefaults__", {"retry": IMPATIENT})
    days = ("--from", "2026-02-20", "--to", "2026-02-21")
    whole = finops("run", *days)
    assert whole.code == 0, whole.stderr
    assert whole.stdout.startswith("Read 20 of 22 buckets (a team's day at an endpoint) in 12 ")
    assert "; 2 are of endpoints that OpenAI does not offer there;" in whole.stdout

    company.control.plant_fault(Fault(kind="garbage", endpoint="embeddings"))
    some = finops("run", *days, "--json")
    assert some.code == 3
    report = json.loads(some.stdout)
    assert (report["buckets_read"], report["buckets_failed"], report["buckets_unsupported"]) == (
        18,
        2,
        2,
    )
    assert "usage of embeddings" in report["failed_teams"]["shops"]
    assert "Warning: team shops failed: " in some.stderr

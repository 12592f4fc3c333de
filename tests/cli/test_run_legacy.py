"""`finops run --only legacy-usage`: days that project keys tell, stopped and gone on with."""

from __future__ import annotations

import json
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from finops_pipeline.cli.progress import RunProgress
from finops_pipeline.ingestion import collect
from finops_pipeline.ingestion.outcome import Progress
from finops_pipeline.openai_admin import Pacer
from finops_pipeline.orchestration.run import Runner
from finops_pipeline.registry import open_registry
from finops_pipeline.settings import load_settings
from finops_pipeline.simulator import LegacyLimit, Scenario, SimulatedServer
from finops_pipeline.simulator.model import SimulatedOrganization, SimulatedProject

Finops = Callable[..., Any]

FIRST, DAYS = date(2026, 3, 1), 4
WINDOW = ("--only", "legacy-usage", "--from", "2026-03-01", "--to", "2026-03-04")
USES = {
    "one": ("gpt-4o-2024-08-06", "ft-gpt-4o-mini-2024-07-18"),
    "two": ("gpt-5-mini-2025-08-07", "text-embedding-3-small"),
    "three": ("whisper-1", "tts-1"),
}


def project_key(name: str) -> str:
    return f"sk-proj-{'0123456789abcdef' * 2}-{name}"


def register_keys() -> None:
    with open_registry(load_settings()) as registry:
        for name in USES:
            registry.register_key("solo", project_key(name), project_id=name)


@pytest.fixture
def company(data: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimulatedServer]:
    """A team with three project keys and no admin key; every batch is a load of its own."""
    monkeypatch.setattr(collect, "_LOAD_SECONDS", 0.0)
    monkeypatch.setattr(Pacer.__init__, "__defaults__", (0.0,))
    organization = SimulatedOrganization(
        id="org-1",
        name="One",
        admin_keys=["sk-admin-nobody-has-it"],
        projects=tuple(
            SimulatedProject(id=f"proj_{name}", uses=uses, keys=(project_key(name),))
            for name, uses in USES.items()
        ),
    )
    with SimulatedServer(
        Scenario(
            start=FIRST,
            now=datetime(2026, 3, 20, tzinfo=UTC),
            organizations=(organization,),
            legacy_limit=LegacyLimit(calls=1000),
        )
    ) as server:
        monkeypatch.setenv("FINOPS_OPENAI_BASE_URL", server.base_url)
        with open_registry(load_settings()) as registry:
            registry.add_team("solo")
            for name in USES:
                registry.add_project(name, team_id="solo", openai_project_id=f"proj_{name}")
        yield server


@pytest.mark.slow
def test_stopped_and_gone_on_with_each_day_is_read_once(
    finops: Finops, company: SimulatedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Runner, "build", lambda _: None)  # tested elsewhere, and takes long
    register_keys()

    def interrupt(_: RunProgress, progress: Progress) -> None:
        if progress.loads == 2:
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patched:
        patched.setattr(RunProgress, "collecting", interrupt)
        ended = finops("run", *WINDOW)
    assert ended.code == 130
    assert "go on with `finops run --only legacy-usage --resume`" in ended.stderr
    assert finops("run", "--resume").code == 2, "what broke off was no collection of costs"
    asked = Counter((call.last4, call.query) for call in company.control.requests())
    company.control.reset_requests()

    resumed = finops("run", "--only", "legacy-usage", "--resume", "--json")
    assert resumed.code == 0, resumed.stderr
    assert "OpenAI takes 5 calls a minute and key" in " ".join(resumed.stderr.split())
    report = json.loads(resumed.stdout)
    before = report["buckets_read_before"]
    assert before >= 2
    assert (report["buckets_read"], report["api_calls"]) == (DAYS - before, 3 * (DAYS - before))
    again = {call.query for call in company.control.requests()}
    assert again == {f"date={FIRST + timedelta(days=day)}" for day in range(before, DAYS)}
    assert set(asked.values()) == {1}


@pytest.mark.soak
def test_what_keys_tell_is_published_as_what_was_billed(
    finops: Finops, company: SimulatedServer
) -> None:
    """What is used at list price is what is billed, so the simulator's bill is the truth."""
    register_keys()
    assert finops("run", *WINDOW).code == 0
    published = finops(
        "query",
        "SELECT cost_date, openai_project_id, cost, cost_source FROM fct_project_daily_costs",
        "--json",
    )
    found = {
        (row["cost_date"], row["openai_project_id"], row["cost_source"]): row["cost"]
        for row in json.loads(published.stdout)
    }
    truth = company.control.totals(start=FIRST, end=FIRST + timedelta(days=DAYS))
    assert found == {
        (total.day.isoformat(), total.project_id, "usage_v1"): f"{total.amount:.18f}"
        for total in truth
    }


def test_without_days_it_is_wrong_usage(finops: Finops, company: SimulatedServer) -> None:
    ended = finops("run", "--only", "legacy-usage")
    assert ended.code == 2
    assert "Add --from and --to, or --days." in ended.stderr
    assert company.control.requests() == []


def test_without_project_keys_there_is_nothing_to_do(
    finops: Finops, company: SimulatedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Runner, "build", lambda _: None)  # tested elsewhere, and takes long
    ended = finops("run", *WINDOW)
    assert ended.code == 0, ended.stderr
    assert "no team has an active project key" in ended.stderr
    assert company.control.requests() == []

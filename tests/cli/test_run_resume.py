"""`finops run` interrupted and resumed, its ways to name days, and `finops housekeeping`."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from finops_pipeline.cli.days import chosen_days
from finops_pipeline.cli.progress import RunProgress
from finops_pipeline.errors import UsageError
from finops_pipeline.ingestion import collect
from finops_pipeline.ingestion.outcome import Progress
from finops_pipeline.ingestion.tables import RAW_TABLES
from finops_pipeline.orchestration.instance import open_instance
from finops_pipeline.orchestration.resuming import range_tags
from finops_pipeline.orchestration.run import Runner
from finops_pipeline.registry import open_registry
from finops_pipeline.settings import ExplicitSettings, load_settings
from finops_pipeline.simulator import Scenario, SimulatedServer
from finops_pipeline.warehouse import Warehouse

Finops = Callable[..., Any]
TODAY = datetime.now(UTC).date()
YESTERDAY = TODAY - timedelta(days=1)


@pytest.fixture
def company(data: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimulatedServer]:
    """The demonstration's company, registered; its costs are read, each page a load of its own."""
    monkeypatch.setattr(collect, "_LOAD_SECONDS", 0.0)
    monkeypatch.setenv("FINOPS_MAX_CONCURRENT_TEAMS", "1")
    scenario = Scenario.demo(start=date(2026, 1, 1), now=datetime(2026, 4, 15, 9, tzinfo=UTC))
    with SimulatedServer(scenario) as server:
        monkeypatch.setenv("FINOPS_OPENAI_BASE_URL", server.base_url)
        with open_registry(load_settings()) as registry:
            for team in scenario.registration.teams:
                registry.add_team(team.team_id)
                registry.register_key(team.team_id, team.admin_key)
        yield server


@pytest.mark.slow
def test_an_interrupted_run_says_how_to_go_on_and_is_resumed(
    finops: Finops, company: SimulatedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_: RunProgress, progress: Progress) -> None:
        if progress.teams_done == 1:
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patched:
        patched.setattr(RunProgress, "collecting", interrupt)
        ended = finops("run", "--from", "2026-01-01", "--to", "2026-01-03", "--only", "costs")
    assert ended.code == 130
    assert "go on with `finops run --resume`" in ended.stderr
    assert "Traceback" not in ended.stderr

    resumed = finops("run", "--resume", "--json")
    assert resumed.code == 0, resumed.stderr
    report = json.loads(resumed.stdout)
    assert (report["buckets_read_before"], report["buckets_read"]) == (3, 6)
    assert "Collecting 2026-01-01 to 2026-01-03" in resumed.stderr
    ((published,),) = [
        row.values()
        for row in json.loads(
            finops("query", "SELECT sum(cost) FROM fct_project_daily_costs", "--json").stdout
        )
    ]
    until = date(2026, 1, 4)
    truth = company.control.totals(start=date(2026, 1, 1), end=until)
    assert str(published).rstrip("0") == f"{sum(total.amount for total in truth):f}".rstrip("0")

    nothing = finops("run", "--resume")
    assert nothing.code == 2
    assert "There is no collection that broke off" in nothing.stderr

    swept = finops("housekeeping", "--dry-run", "--json")
    assert swept.code == 0, swept.stderr
    assert json.loads(swept.stdout) == {
        "rows": dict.fromkeys(RAW_TABLES, 0),
        "runs": 0,
        "runs_kept": 0,
        "folders": 0,
        "processes": 0,
        "dry_run": True,
    }
    assert finops("housekeeping").stdout.startswith("Deleted 0 rows of incomplete loads, 0 old")


def test_resuming_reads_the_teams_and_endpoints_of_the_run(
    finops: Finops, company: SimulatedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Runner, "build", lambda _: None)
    start, end = date(2026, 1, 1), date(2026, 1, 3)
    settings = load_settings()
    Warehouse.from_settings(settings).ensure_folder()
    open_instance(settings).add_run(
        dg.DagsterRun(
            job_name="collect",
            status=dg.DagsterRunStatus.CANCELED,
            run_config={
                "ops": {"openai": {"config": {"teams": ["search"], "endpoints": ["images"]}}}
            },
            tags=range_tags(start, end),
        )
    )
    resumed = finops("run", "--resume", "--json")
    assert resumed.code == 0, resumed.stderr
    assert json.loads(resumed.stdout)["buckets_read"] == 3
    paths = {request.path for request in company.control.requests()}
    assert paths - {"/v1/organization/projects"} == {"/v1/organization/usage/images"}


@pytest.mark.parametrize(
    "arguments",
    [
        ("--resume", "--days", "3"),
        ("--resume", "--from", "2026-01-01"),
        ("--resume", "--last-month"),
        ("--resume", "--team", "search"),
    ],
    ids=" ".join,
)
def test_resuming_takes_neither_days_nor_teams(
    finops: Finops, data: Path, arguments: tuple[str, ...]
) -> None:
    ended = finops("run", *arguments)
    assert ended.code == 2
    assert "--resume takes no days, no teams" in ended.stderr


def choose(**options: Any) -> tuple[date, date] | None:
    options = {"start": None, "end": None, "days": None, "last_month": False} | options
    first_day = options.pop("first_day", date(2025, 1, 1))
    return chosen_days(ExplicitSettings(start_date=first_day), **options)


def test_days_can_be_counted_back_from_yesterday() -> None:
    assert choose() is None
    assert choose(days=1) == (YESTERDAY, YESTERDAY)
    assert choose(days=180) == (TODAY - timedelta(days=180), YESTERDAY)
    assert choose(days=180, first_day=YESTERDAY) == (YESTERDAY, YESTERDAY)


def test_the_last_month_is_the_one_before_this() -> None:
    found = choose(last_month=True)
    assert found is not None
    start, end = found
    assert start.day == 1
    assert end + timedelta(days=1) == TODAY.replace(day=1)
    assert (start.year, start.month) == (end.year, end.month)
    with pytest.raises(UsageError, match="lies before the first day"):
        choose(last_month=True, first_day=YESTERDAY if YESTERDAY.day > 1 else TODAY)


@pytest.mark.parametrize(
    "options",
    [
        {"days": 3, "last_month": True},
        {"days": 3, "start": "2026-01-01"},
        {"last_month": True, "end": "2026-01-01"},
    ],
    ids=str,
)
def test_ways_to_name_days_exclude_each_other(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="exclude each other"):
        choose(**options)

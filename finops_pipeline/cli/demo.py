"""`finops demo`: the whole way, against a simulated company, with data and keys of its own."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal, localcontext
from pathlib import Path
from typing import TYPE_CHECKING

from finops_pipeline.errors import FinopsError
from finops_pipeline.settings import ExplicitSettings, Settings

if TYPE_CHECKING:
    from finops_pipeline.simulator import Scenario, SimulatedServer

DEMO_FOLDER = Path("demo_data")
SCENARIO_FILE = DEMO_FOLDER / "scenario.json"
ADDRESS_FILE = DEMO_FOLDER / "simulated-openai.txt"
REQUEST_LOGS = DEMO_FOLDER / "request_logs"
_LOGGED_DAYS = 7
"""Of the last so many the applications logged their requests."""
_TOKENS_PER_REQUEST = 50_000
_MARKER = DEMO_FOLDER / "made-by-finops-demo"

_WHERE_IT_WENT = """
SELECT t.team_name, p.project_name, sum(c.cost) AS cost, c.currency,
  sum(c.cost) FILTER (WHERE NOT c.is_settled) AS provisional
FROM fct_project_daily_costs AS c
INNER JOIN dim_teams AS t USING (team_id)
INNER JOIN dim_projects AS p ON p.project_id = c.project_id
GROUP BY ALL ORDER BY c.currency, cost DESC
"""


def demo_settings(base_url: str, scenario: Scenario) -> Settings:
    """Settings of the demonstration: its own folder and key file, nothing from the environment."""
    # Its runs belong to no other instance, even where one is configured.
    os.environ.pop("DAGSTER_HOME", None)
    return ExplicitSettings(
        start_date=scenario.start,
        data_dir=DEMO_FOLDER / "data",
        key_file=DEMO_FOLDER / "key" / "key",
        openai_base_url=base_url,
    )


def demo() -> None:
    """Collect, build and publish four months of a simulated company, and show where they went."""
    from finops_pipeline.simulator import Scenario, SimulatedServer

    began = time.monotonic()
    _fresh_folder()
    scenario = Scenario.demo()
    SCENARIO_FILE.write_text(scenario.model_dump_json(indent=2))
    with SimulatedServer(scenario) as server:
        # A key opens for the host and port that it was registered for: the UI takes them again.
        ADDRESS_FILE.write_text(server.base_url)
        settings = demo_settings(server.base_url, scenario)
        _register(settings, scenario)
        _run(settings, scenario)
        _show(settings, server, seconds=time.monotonic() - began)


def _fresh_folder() -> None:
    if DEMO_FOLDER.exists():
        if not _MARKER.exists():
            raise FinopsError(
                f"The folder {DEMO_FOLDER.absolute()} was not made by the demonstration.",
                "Move it away; the demonstration begins with an empty folder of that name.",
            )
        shutil.rmtree(DEMO_FOLDER)
    DEMO_FOLDER.mkdir()
    _MARKER.touch()


def _register(settings: Settings, scenario: Scenario) -> None:
    from finops_pipeline.registry import open_registry
    from finops_pipeline.registry.validation import admin_client, check_with_openai

    make_client = admin_client(settings)
    with open_registry(settings) as registry:
        for team in scenario.registration.teams:
            registry.add_team(
                team.team_id,
                team_name=team.name,
                cost_center=team.cost_center,
                owner_email=team.owner_email,
            )
            check = check_with_openai(team.team_id, make_client)
            registry.register_key(team.team_id, team.admin_key, check=check)
        for project in scenario.registration.projects:
            registry.add_project(
                project.project_id,
                team_id=project.team_id,
                openai_project_id=project.openai_project_id,
                project_name=project.name,
                environment=project.environment,
            )


def _run(settings: Settings, scenario: Scenario) -> None:
    from finops_pipeline.cli.progress import run_progress
    from finops_pipeline.orchestration import Pipeline
    from finops_pipeline.orchestration.instance import open_instance
    from finops_pipeline.orchestration.run import DateRange, Runner
    from finops_pipeline.simulator.requests import write_request_logs

    today = datetime.now(UTC).date()
    yesterday = today - timedelta(days=1)
    logs = write_request_logs(
        scenario,
        REQUEST_LOGS,
        today - timedelta(days=_LOGGED_DAYS),
        yesterday,
        tokens_per_request=_TOKENS_PER_REQUEST,
    )
    with run_progress() as progress:
        with progress.phase("Starting"):
            pipeline = replace(
                Pipeline.from_settings(settings),
                request_files=lambda: logs,
                on_collect=progress.collecting,
                on_requests=progress.landing,
                on_node=progress.node_finished,
            )
            runner = Runner(pipeline, open_instance(settings))
        with progress.phase(f"Collecting {scenario.start} to {yesterday}"):
            collection = runner.collect(DateRange(scenario.start, yesterday))
        with progress.phase("Landing request logs"):
            runner.load_requests()
        with progress.phase("Building and publishing"):
            runner.build()
    for team, reason in collection.failed_teams.items():
        raise FinopsError(f"Team {team} could not be collected: {reason}")


def _show(settings: Settings, server: SimulatedServer, *, seconds: float) -> None:
    """The closing table, checked against what the simulated company was really billed.

    Raises:
        FinopsError: the two totals differ in any digit.
    """
    import duckdb
    from rich.console import Console
    from rich.table import Table

    with duckdb.connect(str(settings.marts_path), read_only=True) as marts:
        rows = marts.execute(_WHERE_IT_WENT).fetchall()
    today = datetime.now(UTC).date()
    truth = server.control.totals(end=today)
    with localcontext(prec=60):
        total = sum((row[2] for row in rows), Decimal(0))
        billed = sum((each.amount for each in truth), Decimal(0))
        provisional = sum((row[4] or Decimal(0) for row in rows), Decimal(0))

    console = Console(highlight=False, soft_wrap=True)
    table = Table(title=f"Where the money went, {server.scenario.start} to yesterday (UTC)")
    table.add_column("team")
    table.add_column("project")
    table.add_column("cost", justify="right")
    table.add_column("")
    for team, project, cost, currency, _ in rows:
        table.add_row(team, project, f"{cost:,.2f}", currency)
    console.print(table)
    console.print(f"Total of the marts                {total:f} USD")
    console.print(f"Billed by the simulated OpenAI    {billed:f} USD")
    if total != billed:
        raise FinopsError("The two totals differ.", "This is a defect: please report it.")
    folder = settings.data_dir.relative_to(Path.cwd())
    console.print(
        f"Equal to the last digit. {provisional:,.2f} USD of it is provisional: those days are "
        f"read again until they have settled. All of this took {seconds:.0f} s.\n"
        "\n"
        "Open next:\n"
        "  make ui                  the assets, their runs and checks, on 127.0.0.1:3000\n"
        f"  export FINOPS_DATA_DIR={folder}\n"
        "  .venv/bin/finops costs daily                          what each team spent, by day\n"
        '  .venv/bin/finops query "FROM rpt_unallocated_costs"   what belongs to nobody yet\n'
        '  .venv/bin/finops query "FROM rpt_request_costs"       what each feature cost, by day\n'
        f"  {folder}/marts.duckdb    the marts, for any DuckDB client (open it read-only)"
    )

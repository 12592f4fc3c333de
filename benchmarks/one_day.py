"""One day of a small company, from the command line to published marts.

``python -m benchmarks.one_day [--repeat 5]``
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from statistics import median

import dagster as dg

from benchmarks.site import Run, Site, site
from benchmarks.tables import table
from finops_pipeline.orchestration.jobs import BUILD
from finops_pipeline.simulator import Scenario, SimulatedServer

HISTORY = timedelta(days=30)
ROUNDS = 5
LAST = date(2026, 2, 28)
STAGES = (
    ("  Dagster writes down what is planned", dg.DagsterEventType.RUN_START, None),
    ("  registry and prices land, dbt", dg.DagsterEventType.ASSET_MATERIALIZATION, "models"),
    ("  Dagster writes down what was done", dg.DagsterEventType.STEP_SUCCESS, "models"),
    ("  publishing, checks of prices", dg.DagsterEventType.RUN_SUCCESS, None),
)
"""Stages of a build in order, each with the event that is the first one after it."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.one_day", description=__doc__)
    parser.add_argument("--repeat", type=int, default=ROUNDS, help="days that are measured")
    print(report(parser.parse_args(arguments).repeat))


def report(rounds: int = ROUNDS) -> str:
    """Run it; the table as Markdown."""
    scenario = Scenario.demo(
        start=LAST - HISTORY - timedelta(days=rounds),
        now=datetime(LAST.year, LAST.month, LAST.day, 9, tzinfo=UTC) + timedelta(days=1),
    )
    measured: list[dict[str, float]] = []
    with SimulatedServer(scenario) as server, site(scenario, server.base_url) as place:
        first = LAST - timedelta(days=rounds)
        place.run("run", "--from", str(first - HISTORY), "--to", str(first))
        for number in range(1, rounds + 1):
            day = str(first + timedelta(days=number))
            measured.append(parts(place, place.run("run", "--from", day, "--to", day)))
    rows = [[name, f"{median(run[name] for run in measured):.1f} s"] for name in measured[0]]
    return (
        f"`finops run` of one new day, three teams at all endpoints, {HISTORY.days} days of "
        f"history; medians of {rounds}:\n\n{table(['', 'measured'], rows)}"
    )


def parts(place: Site, run: Run) -> dict[str, float]:
    """Seconds of a run by what it did; those of the build as its events in Dagster tell."""
    build = newest_build(place)
    began = min(entry.timestamp for entry in build)
    stages = {}
    for name, event, step in STAGES:
        ended = min(
            entry.timestamp
            for entry in build
            if entry.is_dagster_event
            and entry.get_dagster_event().event_type is event
            and entry.step_key == step
        )
        stages[name], began = ended - began, ended
    return {
        "whole": run.seconds,
        "start and end of the process": run.seconds - sum(run.phases.values()),
        "starting: Dagster, dlt and dbt are imported": run.phases["Starting"],
        "collecting": run.phases["Collecting"],
        "building": run.phases["Building"],
        **stages,
        "  Dagster prepares the run": run.phases["Building"] - sum(stages.values()),
    }


def newest_build(place: Site) -> list[dg.EventLogEntry]:
    """The events of the newest build."""
    os.environ["DAGSTER_HOME"] = str(place.settings.dagster_home)
    with dg.DagsterInstance.get() as instance:
        (build,) = instance.get_runs(dg.RunsFilter(job_name=BUILD), limit=1)
        return list(instance.all_logs(build.run_id))


if __name__ == "__main__":
    main()

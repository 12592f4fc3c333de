"""The whole way, from the first call to published marts, as `finops run --only costs` goes it.

``python -m benchmarks.scale [--days 365] [--years 3]``
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from datetime import time as dtime
from pathlib import Path
from statistics import median

from benchmarks.company import Company, Shape, served_company
from benchmarks.site import Run, site
from benchmarks.tables import megabytes, table
from finops_pipeline.simulator import Control

TEAMS, PROJECTS, ROWS_PER_DAY = 100, 5, 137
"""Five million rows a year: 100 teams, 500 projects."""

FEW_DAYS = 30
ROUNDS = 3


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark and print its tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--days", type=int, default=365, help="days of the backfill")
    parser.add_argument("--years", type=int, default=3, help="years of the long history")
    options = parser.parse_args(arguments)
    print(report(options.days, options.years))


def report(days: int = 365, years: int = 3) -> str:
    """Run everything; the tables as Markdown."""
    shape = Shape(TEAMS, years * 365 + ROUNDS, ROWS_PER_DAY, PROJECTS)
    with served_company(shape) as company:
        newest = company.end - timedelta(days=ROUNDS)
        with Control(company.base_url.removesuffix("/v1"), company.control_token) as control:
            backfilled = backfill(company, control, newest, days)
            daily = daily_runs(company, control, newest, years * 365)
    return "\n\n".join(
        [
            "### A backfill",
            f"{TEAMS} teams, {TEAMS * PROJECTS} projects, {days} days, in one run:",
            backfilled,
            "### The daily run",
            f"The newest 8 days of every team, by length of the history; medians of {ROUNDS}:",
            daily,
        ]
    )


def backfill(company: Company, control: Control, newest: date, days: int) -> str:
    """One run over ``days``; what it took."""
    with site(company.scenario, company.base_url) as place:
        control.reset_requests()
        run = place.run(*costs_of(newest, days))
        calls = control.requests()
        rows = [
            ["whole", f"{run.seconds:.1f} s"],
            *([f"  {name.lower()}", f"{seconds:.1f} s"] for name, seconds in run.phases.items()),
            ["rows landed", f"{run.told['rows_landed']:,}"],
            ["peak memory of all processes", megabytes(run.peak_bytes)],
            ["API calls a team, one of them for names", f"{len(calls) / TEAMS:.2f}"],
            ["warehouse", _size(place.settings.warehouse_path)],
            ["published marts", _size(place.settings.marts_path)],
        ]
    return table(["", "measured"], rows)


def daily_runs(company: Company, control: Control, newest: date, long: int) -> str:
    """The same days after each other, on a short and on a long history."""
    scenario, url = company.scenario, company.base_url
    with site(scenario, url) as short_site, site(scenario, url) as long_site:
        histories = {FEW_DAYS: short_site, long: long_site}
        control.set_clock(_morning(newest))
        for days, place in histories.items():
            place.run(*costs_of(newest, days))
        runs: dict[int, list[Run]] = {days: [] for days in histories}
        for number in range(1, ROUNDS + 1):
            day = newest + timedelta(days=number)
            control.set_clock(_morning(day))
            window = costs_of(day, 8)
            for days in histories if number % 2 else reversed(list(histories)):
                runs[days].append(histories[days].run(*window))
    short, whole = (median(run.seconds for run in runs[days]) for days in histories)
    lines = [
        [
            f"{days:,} days",
            f"{median(run.seconds for run in made):.1f} s",
            *(
                f"{median(run.phases[phase] for run in made):.1f} s"
                for phase in ("Starting", "Collecting", "Building")
            ),
            megabytes(max(run.peak_bytes for run in made)),
        ]
        for days, made in runs.items()
    ]
    head = ["history", "whole", "starting", "collecting", "building", "peak memory"]
    return f"{table(head, lines)}\n\nLong to short: {whole / short:.2f}"


def costs_of(newest: date, days: int) -> list[str]:
    """The command that reads costs of so many days up to the newest one."""
    first = newest - timedelta(days=days - 1)
    return ["run", "--only", "costs", "--from", str(first), "--to", str(newest)]


def _size(path: Path) -> str:
    return megabytes(path.stat().st_size)


def _morning(newest: date) -> datetime:
    return datetime.combine(newest + timedelta(days=1), dtime(6, 30), tzinfo=UTC)


if __name__ == "__main__":
    main()

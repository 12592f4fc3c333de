"""The whole way, from the first call to published marts, as `finops run --only costs` goes it.

``python -m benchmarks.scale [--days 365] [--years 3]``
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from datetime import time as dtime
from pathlib import Path
from statistics import median

import psutil

from benchmarks.company import Company, Shape, served_company
from benchmarks.tables import megabytes, table
from finops_pipeline.registry import open_registry
from finops_pipeline.settings import ExplicitSettings, Settings
from finops_pipeline.simulator import Control

FINOPS = Path(sys.executable).with_name("finops")
TEAMS, PROJECTS, ROWS_PER_DAY = 100, 5, 137
"""Five million rows a year: 100 teams, 500 projects."""

FEW_DAYS = 30
ROUNDS = 3


@dataclass(frozen=True)
class Run:
    """One `finops run`.

    Attributes:
        seconds: From the start of the process to its end.
        phases: Seconds of each phase, by its name.
        peak_bytes: Most resident memory of the process and its children together.
        rows: Cost rows landed.
    """

    seconds: float
    phases: dict[str, float]
    peak_bytes: int
    rows: int


@dataclass(frozen=True)
class Site:
    """A data directory whose registry has the company's teams and projects."""

    settings: Settings

    def run(self, *arguments: str) -> Run:
        """A run in a process of its own.

        Raises:
            RuntimeError: it failed; with what it wrote last.
        """
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("FINOPS_", "DAGSTER_"))
        }
        inherited.pop("PYTHONDONTWRITEBYTECODE", None)
        environment = inherited | {
            "FINOPS_DATA_DIR": str(self.settings.data_dir),
            "FINOPS_KEY_FILE": str(self.settings.key_file),
            "FINOPS_OPENAI_BASE_URL": self.settings.openai_base_url,
        }
        errors = self.settings.data_dir.parent / "stderr"
        began = time.monotonic()
        with (
            errors.open("wb") as stderr,
            subprocess.Popen(
                [FINOPS, "run", "--only", "costs", "--json", *arguments],
                stdout=subprocess.PIPE,
                stderr=stderr,
                env=environment,
                cwd=self.settings.data_dir.parent,
            ) as process,
        ):
            peak = 0
            while process.poll() is None:
                peak = max(peak, _resident(process.pid))
                time.sleep(0.05)
            seconds = time.monotonic() - began
            assert process.stdout is not None
            output = process.stdout.read()
        said = errors.read_text()
        if process.returncode:
            raise RuntimeError(f"finops run failed:\n{said[-2000:]}")
        phases = re.findall(r"^(\w+).*: (\d+\.\d) s$", said, re.MULTILINE)
        return Run(
            seconds=seconds,
            phases={name: float(took) for name, took in phases},
            peak_bytes=peak,
            rows=json.loads(output)["rows_landed"],
        )

    def size(self, path: Path) -> str:
        return megabytes(path.stat().st_size)


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
    with site(company) as place:
        control.reset_requests()
        run = place.run("--from", str(newest - timedelta(days=days - 1)), "--to", str(newest))
        calls = [request for request in control.requests() if request.path.endswith("/costs")]
        rows = [
            ["whole", f"{run.seconds:.1f} s"],
            *([f"  {name.lower()}", f"{seconds:.1f} s"] for name, seconds in run.phases.items()),
            ["rows landed", f"{run.rows:,}"],
            ["peak memory of all processes", megabytes(run.peak_bytes)],
            ["calls of costs a team", f"{len(calls) / TEAMS:.2f}"],
            ["warehouse", place.size(place.settings.warehouse_path)],
            ["published marts", place.size(place.settings.marts_path)],
        ]
    return table(["", "measured"], rows)


def daily_runs(company: Company, control: Control, newest: date, long: int) -> str:
    """The same days after each other, on a short and on a long history."""
    with site(company) as short_site, site(company) as long_site:
        histories = {FEW_DAYS: short_site, long: long_site}
        control.set_clock(_morning(newest))
        for days, place in histories.items():
            place.run("--from", str(newest - timedelta(days=days - 1)), "--to", str(newest))
        runs: dict[int, list[Run]] = {days: [] for days in histories}
        for number in range(1, ROUNDS + 1):
            day = newest + timedelta(days=number)
            control.set_clock(_morning(day))
            window = ("--from", str(day - timedelta(days=7)), "--to", str(day))
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


@contextmanager
def site(company: Company) -> Iterator[Site]:
    """A new data directory with the company's teams and projects registered."""
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        settings = ExplicitSettings(
            data_dir=Path(folder, "data"),
            key_file=Path(folder, "keys", "key"),
            openai_base_url=company.base_url,
        )
        with open_registry(settings) as registry:
            for team in company.scenario.registration.teams:
                registry.add_team(team.team_id, team_name=team.name)
                registry.register_key(team.team_id, team.admin_key)
            for project in company.scenario.registration.projects:
                registry.add_project(
                    project.project_id,
                    team_id=project.team_id,
                    openai_project_id=project.openai_project_id,
                )
        yield Site(settings)


def _morning(newest: date) -> datetime:
    return datetime.combine(newest + timedelta(days=1), dtime(6, 30), tzinfo=UTC)


def _resident(root: int) -> int:
    """Resident bytes of a process and its descendants."""
    try:
        process = psutil.Process(root)
        return sum(
            member.memory_info().rss for member in [process, *process.children(recursive=True)]
        )
    except psutil.Error:
        return 0


if __name__ == "__main__":
    main()

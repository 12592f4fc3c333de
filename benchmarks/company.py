"""A simulated company in a process of its own, with every answer rendered beforehand."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from benchmarks.contenders.task import Task
from finops_pipeline.simulator import Scenario

ROWS_OF_A_PAGE = 25_000
"""What the contenders ask for at once: of 10, 25, 50 and 100 thousand the floor's fastest."""

MOST_BUCKETS = 180


@dataclass(frozen=True)
class Shape:
    """How large a company is: each team is an organization with one key."""

    teams: int
    days: int
    rows_per_day: int
    projects: int = 10

    @property
    def rows(self) -> int:
        return self.teams * self.days * self.rows_per_day

    def __str__(self) -> str:
        return f"{self.teams} teams, {self.days} days, {self.rows_per_day:,} rows a day of each"


@dataclass(frozen=True)
class Company:
    """A company that is being served."""

    scenario: Scenario
    base_url: str
    control_token: str

    @property
    def end(self) -> date:
        """The newest day that is over (UTC)."""
        assert self.scenario.now is not None
        return self.scenario.now.date() - timedelta(days=1)

    def task(self, days: int, teams: int | None = None) -> Task:
        """To collect the newest ``days`` days of ``teams`` teams (all by default)."""
        organization = self.scenario.organizations[0]
        assert organization.rows_per_day is not None
        assert self.scenario.now is not None
        end = self.scenario.now.date()
        registered = self.scenario.registration.teams[:teams]
        return Task(
            base_url=self.base_url,
            keys={team.team_id: team.admin_key for team in registered},
            start=end - timedelta(days=days),
            end=end,
            buckets_per_page=max(1, min(MOST_BUCKETS, ROWS_OF_A_PAGE // organization.rows_per_day)),
        )


@contextmanager
def served_company(shape: Shape) -> Iterator[Company]:
    """Serve a company on loopback while the context lasts."""
    scenario = Scenario.bulk(
        organizations=shape.teams,
        projects=shape.projects,
        days=shape.days,
        rows_per_day=shape.rows_per_day,
    )
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        file, token = Path(folder, "scenario.json"), Path(folder, "token")
        file.write_text(scenario.model_dump_json())
        token.write_text(secrets.token_urlsafe())
        command = [sys.executable, "-m", "finops_pipeline.simulator", "--prerender"]
        command += ["--scenario", str(file), "--control-token-file", str(token)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            try:
                base_url = json.loads(process.stdout.readline())["base_url"]
                yield Company(scenario, base_url, token.read_text())
            finally:
                process.terminate()

"""A data directory of its own for real processes, and a simulated company for them to read."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import IO, Any

import duckdb
import psutil

from finops_pipeline.registry import open_registry
from finops_pipeline.settings import ExplicitSettings, Settings
from finops_pipeline.simulator import Scenario, SimulatedServer

PROJECT = Path(__file__).parents[2]
FINOPS = Path(sys.executable).with_name("finops")

PATIENCE = 240.0
"""Seconds after which something that never comes is given up; nothing is timed by it."""


@dataclass(frozen=True)
class Site:
    """A folder with data and keys, as the environment of a process names it.

    Attributes:
        folder: Its parent; processes start here, away from any ``.env``.
        server: The company that is collected.
    """

    folder: Path
    server: SimulatedServer

    @property
    def settings(self) -> Settings:
        return ExplicitSettings(
            data_dir=self.folder / "data",
            key_file=self.folder / "keys" / "key",
            openai_base_url=self.server.base_url,
        )

    @property
    def environment(self) -> dict[str, str]:
        """This process's environment with this site's settings and no other of ours."""
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("FINOPS_", "DAGSTER_"))
        }
        return inherited | {
            "FINOPS_DATA_DIR": str(self.settings.data_dir),
            "FINOPS_KEY_FILE": str(self.settings.key_file),
            "FINOPS_OPENAI_BASE_URL": self.server.base_url,
        }

    def start(
        self,
        *command: str | Path,
        cwd: Path | None = None,
        output: IO[bytes] | int = subprocess.DEVNULL,
        **variables: str,
    ) -> subprocess.Popen[bytes]:
        """Start a command in a process group of its own, which an interrupt reaches."""
        # What a shell starts in the background ignores SIGINT, and so would its children.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        return subprocess.Popen(
            [*map(str, command)],
            cwd=cwd or self.folder,
            env=self.environment | variables,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def run(self, *command: str | Path, **options: Any) -> tuple[int, str]:
        """Run a command to its end; its exit code, and what it printed."""
        log = self.folder / "output.log"
        with log.open("wb") as output:
            code = self.start(*command, output=output, **options).wait(PATIENCE)
        return code, log.read_text()

    def marts(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows from the published marts; none where nothing is published."""
        if not self.settings.marts_path.exists():
            return []
        with duckdb.connect(str(self.settings.marts_path), read_only=True) as connection:
            return connection.execute(sql).fetchall()

    def truth(self, start: date, end: date) -> dict[date, Decimal]:
        """What was billed on each day from ``start`` to ``end``, both inclusive."""
        billed: dict[date, Decimal] = {}
        for total in self.server.control.totals(start=start, end=end + timedelta(days=1)):
            billed[total.day] = billed.get(total.day, Decimal(0)) + total.amount
        return billed

    def daily_costs(self) -> dict[date, Decimal]:
        """The published cost of each day."""
        days = "SELECT cost_date, sum(cost) FROM fct_team_daily_costs GROUP BY ALL"
        return dict(self.marts(days))

    def processes(self) -> list[psutil.Process]:
        """Every living process that was started for this site."""
        mine = str(self.settings.data_dir)
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("FINOPS_DATA_DIR") == mine:
                    found.append(process)
            except psutil.Error:
                continue
        return [process for process in found if process.status() != psutil.STATUS_ZOMBIE]


def wait_until(condition: Callable[[], object], what: str, *, patience: float = PATIENCE) -> None:
    """Look again and again until it is so.

    Raises:
        AssertionError: it never became so.
    """
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        time.sleep(0.2)


def group(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """The living processes of a process group that we started."""
    members = []
    for other in psutil.process_iter():
        try:
            if os.getpgid(other.pid) == process.pid and other.status() != psutil.STATUS_ZOMBIE:
                members.append(other)
        except (psutil.Error, ProcessLookupError):
            continue
    return members


def stop(process: subprocess.Popen[bytes]) -> None:
    """Interrupt a process group that we started, as Ctrl-C does, and wait until all of it ended.

    Raises:
        AssertionError: something of it lived on; it is killed.
    """
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGINT)
    try:
        wait_until(
            lambda: process.poll() is not None and not group(process),
            "everything that was interrupted has ended",
            patience=60,
        )
    except AssertionError:
        for member in group(process):
            member.kill()
        process.wait()
        raise


def register(site: Site) -> None:
    """Register teams, keys and projects as the company suggests."""
    registration = site.server.scenario.registration
    with open_registry(site.settings) as registry:
        for team in registration.teams:
            registry.add_team(team.team_id, team_name=team.name)
            registry.register_key(team.team_id, team.admin_key)
        for project in registration.projects:
            registry.add_project(
                project.project_id,
                team_id=project.team_id,
                openai_project_id=project.openai_project_id,
            )


@contextmanager
def opened_site(scenario: Scenario, folder: Path, *, registered: bool = True) -> Iterator[Site]:
    """A site in ``folder``; whatever was started for it and still lives is ended and an error."""
    with SimulatedServer(scenario) as server:
        site = Site(folder, server)
        if registered:
            register(site)
        try:
            yield site
        finally:
            # A helper process of Python's own ends a moment after its parent.
            deadline = time.monotonic() + 30
            while (left := site.processes()) and time.monotonic() < deadline:
                time.sleep(0.2)
            for process in left:
                process.kill()
        assert left == []

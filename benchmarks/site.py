"""A data directory of its own, and commands on it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from finops_pipeline.registry import open_registry
from finops_pipeline.settings import ExplicitSettings, Settings
from finops_pipeline.simulator import Scenario

FINOPS = Path(sys.executable).with_name("finops")


@dataclass(frozen=True)
class Run:
    """One `finops` command.

    Attributes:
        seconds: From the start of the process to its end.
        phases: Seconds of each phase, by its name.
        peak_bytes: Most resident memory of the process and its children together.
        told: What it printed, as it does with `--json`.
    """

    seconds: float
    phases: dict[str, float]
    peak_bytes: int
    told: Any


@dataclass(frozen=True)
class Site:
    """A data directory whose registry has the company's teams and projects."""

    settings: Settings

    def run(self, *arguments: str, code: int = 0) -> Run:
        """A command in a process of its own, which has to end with ``code``.

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
            "FINOPS_START_DATE": self.settings.start_date.isoformat(),
        }
        errors = self.settings.data_dir.parent / "stderr"
        began = time.monotonic()
        with (
            errors.open("wb") as stderr,
            subprocess.Popen(
                [FINOPS, *arguments, "--json"],
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
        if process.returncode != code:
            raise RuntimeError(f"finops {arguments[0]} failed:\n{said[-2000:]}")
        phases = re.findall(r"^(\w+).*: (\d+\.\d) s$", said, re.MULTILINE)
        return Run(
            seconds=seconds,
            phases={name: float(took) for name, took in phases},
            peak_bytes=peak,
            told=json.loads(output),
        )


@contextmanager
def site(scenario: Scenario, base_url: str) -> Iterator[Site]:
    """A new data directory with the teams and projects that the scenario suggests, registered."""
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        settings = ExplicitSettings(
            data_dir=Path(folder, "data"),
            key_file=Path(folder, "keys", "key"),
            openai_base_url=base_url,
            start_date=scenario.start,
        )
        with open_registry(settings) as registry:
            for team in scenario.registration.teams:
                registry.add_team(team.team_id, team_name=team.name)
                registry.register_key(team.team_id, team.admin_key)
            for project in scenario.registration.projects:
                registry.add_project(
                    project.project_id,
                    team_id=project.team_id,
                    openai_project_id=project.openai_project_id,
                )
        yield Site(settings)


def _resident(root: int) -> int:
    """Resident bytes of a process and its descendants."""
    try:
        process = psutil.Process(root)
        return sum(
            member.memory_info().rss for member in [process, *process.children(recursive=True)]
        )
    except psutil.Error:
        return 0

"""Several runs and a build at once: each waits for its turn, and the figures are right."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from finops_pipeline.simulator import Scenario
from tests.e2e.conftest import FINOPS, PATIENCE, opened_site

pytestmark = pytest.mark.slow

START, END = date(2026, 1, 1), date(2026, 1, 20)
COMMANDS = {
    "first": (FINOPS, "run", "--from", "2026-01-01", "--to", "2026-01-14"),
    "second": (FINOPS, "run", "--from", "2026-01-08", "--to", "2026-01-20"),
    "build": (FINOPS, "build"),
}


def test_two_overlapping_runs_and_a_build_started_together_end_right(tmp_path: Path) -> None:
    """On a site where nothing has run yet, so that all of them create everything at once."""
    scenario = Scenario.demo(start=START, now=datetime(2026, 4, 15, 9, tzinfo=UTC))
    with opened_site(scenario, tmp_path) as site:
        logs = {name: tmp_path / f"{name}.log" for name in COMMANDS}
        processes = {}
        for name, command in COMMANDS.items():
            with logs[name].open("wb") as output:
                processes[name] = site.start(*command, output=output)
        codes = {name: process.wait(PATIENCE) for name, process in processes.items()}

        assert codes == dict.fromkeys(COMMANDS, 0), [log.read_text() for log in logs.values()]
        assert site.daily_costs() == site.truth(START, END)
        assert site.marts(
            "SELECT status, count(DISTINCT cost_date) FROM rpt_collections GROUP BY status"
        ) == [("ok", 20)]
        assert list(site.settings.data_dir.glob("marts.ready.*")) == []
        assert list((site.settings.data_dir / "tmp").iterdir()) == []

"""Runs killed with no warning, readers that look on, and clients killed on the published file."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest

from finops_pipeline.orchestration import Pipeline
from finops_pipeline.settings import ExplicitSettings
from finops_pipeline.simulator import Scenario
from tests.e2e.conftest import FINOPS, PATIENCE, Site, group, opened_site, wait_until
from tests.workplace import Workplace

START, END = date(2026, 1, 1), date(2026, 1, 20)
SCENARIO = Scenario.demo(start=START, now=datetime(2026, 4, 15, 9, tzinfo=UTC))
RUN = (FINOPS, "run", "--from", START.isoformat(), "--to", END.isoformat())
PHASES = ("Building", "Collecting", "Starting")

NOT_COMPARED = {
    "fct_costs": {"collection_id", "collected_at"},
    "fct_restatements": {"collected_at"},
    "fct_superseded_costs": {"collection_id", "collected_at"},
    "fct_usage": {"usage_id", "user_id"},
    "rpt_build": {"run_id", "built_at"},
    "rpt_collection_status": {"last_ok_at", "collected_at"},
    "rpt_collections": {"collection_id", "run_id", "collected_at", "content_hash"},
    "rpt_revisions": {"collection_id", "known_from", "known_until", "settled_from"},
}
"""Ids, times and pseudonyms, which differ from run to run or from site to site by nature."""

READER = """
import json, sys, threading
import duckdb

stopped = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), stopped.set()), daemon=True).start()
while not stopped.is_set():
    try:
        with duckdb.connect(sys.argv[1], read_only=True) as connection:
            (run,) = connection.execute("SELECT run_id FROM rpt_build").fetchone()
            stopped.wait(0.2)
            totals = connection.execute(
                "SELECT (SELECT sum(cost) FROM fct_costs WHERE is_reported), "
                "(SELECT sum(cost) FROM fct_project_daily_costs), "
                "(SELECT sum(cost) FROM fct_team_daily_costs)"
            ).fetchone()
        print(json.dumps([run, *map(str, totals)]), flush=True)
    except Exception as error:
        print(json.dumps([f"{type(error).__name__}: {error}"]), flush=True)
"""
"""It lingers between its two questions, so that most publishing happens while it has the file."""

TAMPERING_CLIENT = """
import sys
import duckdb

connection = duckdb.connect(sys.argv[1])
connection.execute("SET checkpoint_threshold = '1TB'")
connection.execute("UPDATE fct_costs SET cost = cost + 1000")
connection.execute("CREATE TABLE left_behind AS SELECT 1 AS one")
print("written", flush=True)
sys.stdin.read()
"""


@dataclass
class Company:
    """A site whose runs are killed, beside a pipeline that is left alone on the same company.

    Attributes:
        totals: What the company was billed in all, before and after each restatement.
        durations: Seconds that each phase of the last whole run took.
    """

    site: Site
    undisturbed: Workplace
    totals: list[Decimal]
    durations: dict[str, float]

    def restate(self, number: int) -> None:
        """Change what was billed for one day, so that the next run publishes another total."""
        organization = SCENARIO.organizations[number % 2].id
        day = START + timedelta(days=number % 20)
        self.site.server.control.restate(organization, day, "scale", factor=Decimal("1.5"))
        self.totals.append(sum(self.site.truth(START, END).values(), Decimal(0)))

    def run_both(self) -> None:
        """Run the killed site to its end this time, and the undisturbed one beside it."""
        log = self.site.folder / "whole.log"
        with log.open("wb") as output:
            process = self.site.start(*RUN, output=output)
            self.undisturbed.collect(START, END)
            self.undisturbed.build()
            assert process.wait(PATIENCE) == 0, log.read_text()
        took = re.findall(r"^(\w+).*: (\d+\.\d) s$", log.read_text(), re.MULTILINE)
        self.durations = {phase: float(seconds) for phase, seconds in took}
        assert set(self.durations) == set(PHASES)


@dataclass(frozen=True)
class Kill:
    """When a run is killed: so many seconds after one of its phases has begun."""

    phase: str
    delay: float
    whole_group: bool

    def befall(self, process: subprocess.Popen[bytes], log: Path) -> bool:
        """Kill the run at its moment; whether it was still running then."""
        wait_until(
            lambda: process.poll() is not None or self.phase in log.read_text(),
            f"the run is {self.phase.lower()}",
        )
        try:
            process.wait(self.delay)
        except subprocess.TimeoutExpired:
            if self.whole_group:
                os.killpg(process.pid, signal.SIGKILL)
            else:
                os.kill(process.pid, signal.SIGKILL)
        wait_until(lambda: not group(process), "nothing of the run is left")
        return process.wait() == -signal.SIGKILL


def contents(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Every published table without what differs by nature; repeated readings count once."""
    found = {}
    with duckdb.connect(str(path), read_only=True) as connection:
        names = connection.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'main'"
        ).fetchall()
        for (name,) in names:
            without = ", ".join(NOT_COMPARED.get(name, ()))
            columns = f"* EXCLUDE ({without})" if without else "*"
            distinct = "DISTINCT" if name == "rpt_collections" else ""
            found[name] = connection.execute(
                f"SELECT {distinct} {columns} FROM {name} ORDER BY ALL"
            ).fetchall()
    return found


@contextmanager
def reading_all_the_time(marts: Path, record: Path) -> Iterator[None]:
    """A reader in a process of its own, which writes down whatever it sees."""
    with (
        record.open("wb") as output,
        subprocess.Popen(
            [sys.executable, "-c", READER, str(marts)], stdin=subprocess.PIPE, stdout=output
        ) as reader,
    ):
        try:
            yield
        finally:
            assert reader.stdin is not None
            reader.stdin.close()
            reader.wait(PATIENCE)


@pytest.fixture
def company(tmp_path: Path) -> Iterator[Company]:
    """Both pipelines on one company."""
    (tmp_path / "killed").mkdir()
    with opened_site(SCENARIO, tmp_path / "killed") as site:
        settings = ExplicitSettings(
            data_dir=tmp_path / "undisturbed" / "data",
            key_file=tmp_path / "undisturbed" / "key",
            openai_base_url=site.server.base_url,
        )
        undisturbed = Workplace(settings, site.server, Pipeline.from_settings(settings))
        undisturbed.register()
        billed = sum(site.truth(START, END).values(), Decimal(0))
        with undisturbed.closing:
            yield Company(site, undisturbed, [billed], {})


@pytest.mark.parametrize(
    "count",
    [
        pytest.param(2, marks=[pytest.mark.slow, pytest.mark.timeout(900)]),
        pytest.param(20, marks=[pytest.mark.soak, pytest.mark.timeout(3600)]),
    ],
)
def test_a_run_killed_at_any_moment_is_made_good_by_the_next(company: Company, count: int) -> None:
    site = company.site
    company.run_both()
    draw = random.Random(20260101)
    hits = 0
    record = site.folder / "seen.jsonl"
    with reading_all_the_time(site.settings.marts_path, record):
        for number in range(count):
            company.restate(number)
            phase = PHASES[number % len(PHASES)]
            delay = draw.uniform(0.0, company.durations[phase])
            kill = Kill(phase, delay, whole_group=draw.random() < 0.5)
            log = site.folder / "killed.log"
            with log.open("wb") as output:
                hits += kill.befall(site.start(*RUN, output=output), log)
            company.run_both()
            published = contents(site.settings.marts_path)
            assert published == contents(company.undisturbed.settings.marts_path), kill
            assert sum(site.daily_costs().values(), Decimal(0)) == company.totals[-1]
    assert hits >= count // 2

    seen = [json.loads(line) for line in record.read_text().splitlines()]
    assert seen
    assert [line for line in seen if len(line) == 1] == []
    for _, *sums in seen:
        assert len({Decimal(text) for text in sums}) == 1, sums
    totals = {(run, Decimal(total)) for run, total, *_ in seen}
    assert len({run for run, _ in totals}) == len(totals)
    order = [company.totals.index(Decimal(total)) for _, total, *_ in seen]
    assert order == sorted(order)
    with dg.DagsterInstance.from_config(str(site.settings.dagster_home)) as instance:
        assert instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])) == []


@pytest.mark.slow
def test_a_client_killed_on_the_published_file_changes_no_figure_after_the_next_publish(
    make_workplace: Callable[..., Workplace],
) -> None:
    workplace = make_workplace(SCENARIO)
    workplace.collect(START, START)
    workplace.build()
    marts = workplace.settings.marts_path
    before = contents(marts)

    marts.chmod(0o644)
    with subprocess.Popen(
        [sys.executable, "-c", TAMPERING_CLIENT, str(marts)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as client:
        assert client.stdout is not None
        assert client.stdout.readline() == "written\n"
        client.kill()
    assert marts.with_name("marts.duckdb.wal").exists()

    workplace.build()
    assert contents(marts) == before
    assert list(marts.parent.glob("marts.duckdb.wal*")) == []

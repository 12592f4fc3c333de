"""The contenders do the same work: whoever lands something else wins nothing."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from benchmarks.collect import speeds
from benchmarks.company import Company, Shape
from benchmarks.contenders.measured import measured
from benchmarks.contenders.task import Result
from benchmarks.runs import pair_ratio
from finops_pipeline.simulator import RestatedRow, Scenario, SimulatedServer

SHAPE = Shape(teams=2, days=5, rows_per_day=40)
NO_FLOAT = RestatedRow(amount=Decimal("12.345678901234567891"), line_item="fee")


def test_all_contenders_land_the_same_total_to_the_last_digit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNTIME__DLTHUB_TELEMETRY", "false")
    scenario = Scenario.bulk(
        organizations=SHAPE.teams, projects=3, days=SHAPE.days, rows_per_day=SHAPE.rows_per_day
    )
    with SimulatedServer(scenario) as server:
        task = Company(scenario, server.base_url, control_token="").task(SHAPE.days)
        organization = scenario.organizations[0].id
        server.control.restate(organization, task.start, "add", rows=[NO_FLOAT])
        truth = server.control.totals(start=task.start, end=task.end)
        results = {}
        for name in ("ours", "floor", "stock", "extraction"):
            folder = tmp_path / name
            folder.mkdir()
            results[name] = measured(name, task, folder)

    assert {result.rows for result in results.values()} == {SHAPE.rows + 1}
    total = sum(part.amount for part in truth)
    assert {Decimal(result.total) for result in results.values()} == {total}
    assert all(result.peak_bytes > 0 for result in results.values())


def test_ratios_are_of_runs_side_by_side() -> None:
    def run(seconds: float) -> Result:
        return Result(rows=1_000, total="1", seconds=seconds, cpu_seconds=1, peak_bytes=2**20)

    # The machine was ten times slower in the second round.
    ours, floor = [run(2.0), run(20.0), run(2.0)], [run(1.0), run(10.0), run(1.0)]
    assert pair_ratio(ours, floor) == 0.5
    lines = speeds({"ours": ours, "floor": floor, "stock": [run(50.0)] * 3}).splitlines()
    assert [cell.strip() for cell in lines[2].split("|")[2:8]] == [
        "1,000", "2.0", "1.0", "500", "0.50", "25.0",
    ]  # fmt: skip

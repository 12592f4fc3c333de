"""Collection: from a server that answers at once into the raw tables.

``python -m benchmarks.collect [--rows 1000000] [--repeat 3]``
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from statistics import median

from benchmarks.company import Shape, served_company
from benchmarks.contenders.task import Result
from benchmarks.runs import Runner, pair_ratio, runner, speed
from benchmarks.tables import megabytes, table

TEAMS = 4
ROWS_PER_DAY = 1_000
MANY_ROWS_PER_DAY = 20_000
STOCK_ROWS = 50_000
"""Of the stock source, which would take minutes for a million; its rows a second count."""

WARM_UP_DAYS = 1
NAMES = {"ours": "this pipeline", "floor": "floor: bare script", "stock": "dlt's rest_api source"}

Say = Callable[[str], None]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.collect", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="cost rows to collect")
    parser.add_argument("--repeat", type=int, default=3, help="rounds; medians are shown")
    options = parser.parse_args(arguments)
    with runner() as run:
        print(report(run, options.rows, options.repeat))


def report(run: Runner, rows: int, repeat: int) -> str:
    """Run everything; the tables as Markdown."""
    days = max(10, rows // TEAMS // ROWS_PER_DAY)
    shape = Shape(TEAMS, days, ROWS_PER_DAY)
    with served_company(shape) as company:
        few = company.task(WARM_UP_DAYS)
        for name in NAMES:
            run.run(name, few)
        results = run.rounds(["ours", "floor"], company.task(days), repeat)
        stock_days = max(1, min(days, STOCK_ROWS // TEAMS // ROWS_PER_DAY))
        results["stock"] = [run.run("stock", company.task(stock_days)) for _ in range(repeat)]
        tenth = [run.run("extraction", company.task(days // 10)) for _ in range(repeat)]
        whole = [run.run("extraction", company.task(days)) for _ in range(repeat)]
    return "\n\n".join([f"Speed, {shape}:", speeds(results)])


def speeds(results: dict[str, list[Result]]) -> str:
    """One line per contender: medians, and the median ratio of its pairs."""
    ours, floor, stock = results["ours"], results["floor"], results["stock"]
    stock_speed = median(map(speed, stock))
    return table(
        ["", "rows", "seconds", "CPU seconds", "rows/s", "× floor", "× stock", "peak memory"],
        [
            [
                NAMES[name],
                f"{runs[0].rows:,}",
                f"{median(run.seconds for run in runs):.2f}",
                f"{median(run.cpu_seconds for run in runs):.2f}",
                f"{median(map(speed, runs)):,.0f}",
                f"{pair_ratio(runs, floor):.2f}",
                f"{median(map(speed, runs)) / stock_speed:.1f}",
                megabytes(max(run.peak_bytes for run in runs)),
            ]
            for name, runs in (("ours", ours), ("floor", floor), ("stock", stock))
        ],
    )


if __name__ == "__main__":
    main()

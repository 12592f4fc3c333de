"""Collecting costs: from a server that answers at once into the raw tables.

``python -m benchmarks.collect [--rows 1000000] [--repeat 3]``
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from statistics import median

from benchmarks.company import Company, Shape, served_company
from benchmarks.contenders.task import Result
from benchmarks.runs import Runner, pair_ratio, runner, speed
from benchmarks.tables import megabytes, table

TEAMS = 4
FEW, MANY = 1_000, 5_000
"""Rows a day of each team: a large one, and one that exceeds a page in a week."""

STOCK_ROWS = 50_000
"""For the stock source, which would take minutes for a million; its speed does not depend on it."""

NAMES = {"ours": "this pipeline", "floor": "floor: bare script", "stock": "dlt's rest_api source"}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark and print its tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.collect", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="cost rows to collect")
    parser.add_argument("--repeat", type=int, default=3, help="rounds; medians are shown")
    options = parser.parse_args(arguments)
    with runner() as run:
        print(report(run, options.rows, options.repeat))


def report(run: Runner, rows: int = 1_000_000, repeat: int = 3) -> str:
    """Run everything; the tables as Markdown."""
    few, many = (Shape(TEAMS, max(10, rows // TEAMS // each), each) for each in (FEW, MANY))
    with served_company(few) as company:
        for name in (*NAMES, "extraction"):  # compiles byte code, fills the file cache
            run.run(name, company.task(days=1))
        stock_days = max(1, min(few.days, STOCK_ROWS // TEAMS // FEW))
        days = {"ours": few.days, "floor": few.days, "stock": stock_days}
        results = run.rounds({name: company.task(days[name]) for name in NAMES}, repeat)
        peaks = [memory_row(run, company, few, repeat)]
    with served_company(many) as company:
        peaks.append(memory_row(run, company, many, repeat=1))
    return "\n\n".join(
        [
            "### Speed",
            f"{few}; each contender in a fresh process; medians of {repeat}:",
            speeds(results),
            "### Memory of extraction",
            "Largest resident memory of the process, reading and staging without DuckDB:",
            table(["", "a tenth of the days", "half", "all", "all/tenth", "all/half"], peaks),
        ]
    )


def speeds(results: dict[str, list[Result]]) -> str:
    """One line per contender: medians, and medians of the ratios of runs side by side."""
    lines = [
        [
            label,
            f"{results[name][0].rows:,}",
            f"{median(result.seconds for result in results[name]):.1f}",
            f"{median(result.cpu_seconds for result in results[name]):.1f}",
            f"{median(map(speed, results[name])):,.0f}",
            f"{pair_ratio(results[name], results['floor']):.2f}",
            f"{pair_ratio(results[name], results['stock']):.1f}",
            megabytes(median(result.peak_bytes for result in results[name])),
        ]
        for name, label in NAMES.items()
    ]
    head = ["", "rows", "seconds", "CPU s", "rows/s", "of floor", "of stock", "peak memory"]
    return table(head, lines)


def memory_row(run: Runner, company: Company, shape: Shape, repeat: int) -> list[str]:
    """Median peak memory for a part of the days and for all, with the same rows a day."""
    peaks = []
    for days in (shape.days // 10, shape.days // 2, shape.days):
        runs = [run.run("extraction", company.task(days)) for _ in range(repeat)]
        peaks.append(median(result.peak_bytes for result in runs))
    tenth, half, whole = peaks
    return [
        str(shape),
        *map(megabytes, peaks),
        f"{whole / tenth:.2f}",
        f"{whole / half:.2f}",
    ]


if __name__ == "__main__":
    main()

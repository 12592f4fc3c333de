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
        results = run.rounds(["ours", "floor"], company.task(few.days), repeat)
        stock_days = max(1, min(few.days, STOCK_ROWS // TEAMS // FEW))
        results["stock"] = [run.run("stock", company.task(stock_days)) for _ in range(repeat)]
        peaks = [memory_row(run, company, few)]
    with served_company(many) as company:
        peaks.append(memory_row(run, company, many))
    return "\n\n".join(
        [
            "### Speed",
            f"{few}; each contender in a fresh process; medians of {repeat}:",
            speeds(results),
            "### Memory of extraction",
            "Largest resident memory of the process, reading and staging without DuckDB:",
            table(["", "a tenth", "all", "ratio"], peaks),
        ]
    )


def speeds(results: dict[str, list[Result]]) -> str:
    """One line per contender; ratios to the floor are those of runs side by side."""
    stock_speed = median(map(speed, results["stock"]))
    lines = []
    for name, label in NAMES.items():
        runs = results[name]
        own = median(map(speed, runs))
        floor = pair_ratio(runs, results["floor"])
        lines.append(
            [
                label,
                f"{runs[0].rows:,}",
                f"{median(result.seconds for result in runs):.1f}",
                f"{median(result.cpu_seconds for result in runs):.1f}",
                f"{own:,.0f}",
                f"{floor:.2f}",
                f"{own / stock_speed:.1f}",
                megabytes(max(result.peak_bytes for result in runs)),
            ]
        )
    head = ["", "rows", "seconds", "CPU s", "rows/s", "of floor", "of stock", "peak memory"]
    return table(head, lines)


def memory_row(run: Runner, company: Company, shape: Shape) -> list[str]:
    """Peak memory for a tenth of the days and for all of them, with the same rows a day."""
    tenth = run.run("extraction", company.task(shape.days // 10))
    whole = run.run("extraction", company.task(shape.days))
    return [
        f"{shape.teams} teams, {shape.rows_per_day:,} rows a day",
        f"{tenth.rows:,} rows: {megabytes(tenth.peak_bytes)}",
        f"{whole.rows:,} rows: {megabytes(whole.peak_bytes)}",
        f"{whole.peak_bytes / tenth.peak_bytes:.2f}",
    ]


if __name__ == "__main__":
    main()

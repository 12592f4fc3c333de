"""Request logs: a million lines landed, beside DuckDB reading the same file, and shared out.

``python -m benchmarks.requests [--rows 1000000] [--repeat 3]``
"""

from __future__ import annotations

import argparse
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from statistics import median

import duckdb
import msgspec

from benchmarks.contenders.task import Result
from benchmarks.runs import pair_ratio, speed
from benchmarks.site import site
from benchmarks.tables import megabytes, table
from finops_pipeline.ingestion.request_files import land_request_files
from finops_pipeline.registry import open_registry
from finops_pipeline.settings import ExplicitSettings
from finops_pipeline.simulator import Scenario, SimulatedServer
from finops_pipeline.simulator.requests import write_request_logs
from finops_pipeline.warehouse import Warehouse

FEW_OF = 10
"""Memory is looked at with all lines and with a tenth of them."""

FIRST, LAST = date(2026, 3, 1), date(2026, 3, 31)
TOKENS_PER_REQUEST = 6_250
COMPANY_MONTH = "every request behind a month of the demonstration's company, about a million"

USERS = 3_000
NAMES = {"ours": "this pipeline", "duckdb": "DuckDB: CREATE TABLE FROM read_json"}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark and print its tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.requests", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="lines of the file")
    parser.add_argument("--repeat", type=int, default=3, help="rounds; medians are shown")
    parser.add_argument("--measure", nargs=2, metavar=("NAME", "FILE"), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.measure:
        name, file = options.measure
        sys.stdout.buffer.write(msgspec.json.encode(measured(name, Path(file))))
    else:
        print(report(options.rows, options.repeat))


def report(rows: int = 1_000_000, repeat: int = 3) -> str:
    """Run everything; the tables as Markdown."""
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        many, few = Path(folder, "many.jsonl"), Path(folder, "few.jsonl")
        write_log(many, rows)
        write_log(few, rows // FEW_OF)
        for name in NAMES:  # compiles byte code, fills the file cache
            in_process(name, few)
        results: dict[str, list[Result]] = {name: [] for name in NAMES}
        for number in range(repeat):
            for name in NAMES if number % 2 == 0 else reversed(NAMES):
                results[name].append(in_process(name, many))
        peaks = [
            median(result.peak_bytes for result in found)
            for found in ([in_process("ours", few) for _ in range(repeat)], results["ours"])
        ]
        size = many.stat().st_size
    return "\n\n".join(
        [
            "### Speed",
            f"{rows:,} lines, {megabytes(size)}; each in a fresh process; medians of {repeat}:",
            speeds(results),
            "### Memory",
            "Largest resident memory of the process, DuckDB's included:",
            table(
                ["", f"{rows // FEW_OF:,} lines", f"{rows:,} lines", "all/tenth"],
                [[NAMES["ours"], *map(megabytes, peaks), f"{peaks[1] / peaks[0]:.2f}"]],
            ),
            "### From the file to the bill",
            f"`finops requests load` of one file: {COMPANY_MONTH}.",
            allocation(),
        ]
    )


def allocation() -> str:
    """A month's requests of a company whose costs were collected, landed and shared out."""
    scenario = Scenario.demo(start=FIRST, now=datetime(2026, 4, 8, 9, tzinfo=UTC))
    with SimulatedServer(scenario) as server, site(scenario, server.base_url) as place:
        place.run("run", "--from", str(FIRST), "--to", str(LAST))
        folder = place.settings.data_dir.parent
        parts = write_request_logs(
            scenario, folder / "logs", FIRST, LAST, tokens_per_request=TOKENS_PER_REQUEST
        )
        file = folder / "month.jsonl"
        with file.open("wb") as log:
            for part in parts:
                log.write(part.read_bytes())
                part.unlink()
        # 3, because one project of the company is registered nowhere.
        run = place.run("requests", "load", str(file), code=3)
        with duckdb.connect(str(place.settings.marts_path), read_only=True) as connection:
            found = connection.execute(
                "SELECT count(*), count(*) FILTER (reconciliation_status = 'matched') "
                "FROM fct_request_costs WHERE request_id IS NOT NULL"
            ).fetchone()
        assert found is not None
        return table(
            ["", "measured"],
            [
                ["whole", f"{run.seconds:.1f} s"],
                *([f"  {name.lower()}", f"{took:.1f} s"] for name, took in run.phases.items()),
                ["requests", f"{found[0]:,}"],
                ["of them matched with the bill", f"{found[1]:,}"],
                ["requests a second", f"{found[0] / run.seconds:,.0f}"],
                ["peak memory of all processes", megabytes(run.peak_bytes)],
                ["file", megabytes(file.stat().st_size)],
                ["published marts", megabytes(place.settings.marts_path.stat().st_size)],
            ],
        )


def speeds(results: dict[str, list[Result]]) -> str:
    """One line per contender: medians, and the median of the ratios of runs side by side."""
    return table(
        ["", "rows", "seconds", "CPU s", "rows/s", "of DuckDB", "peak memory"],
        [
            [
                label,
                f"{results[name][0].rows:,}",
                f"{median(result.seconds for result in results[name]):.1f}",
                f"{median(result.cpu_seconds for result in results[name]):.1f}",
                f"{median(map(speed, results[name])):,.0f}",
                f"{pair_ratio(results[name], results['duckdb']):.2f}",
                megabytes(median(result.peak_bytes for result in results[name])),
            ]
            for name, label in NAMES.items()
        ],
    )


def write_log(path: Path, rows: int) -> None:
    """A log as an application writes it, in order of time; the same for the same size."""
    chance = random.Random(rows)
    began = datetime(2026, 3, 1, tzinfo=UTC)
    between = timedelta(days=30) / rows
    with path.open("wb") as log:
        for number in range(rows):
            tokens = chance.randrange(4_000)
            line = {
                "request_id": f"req_{chance.getrandbits(128):032x}",
                "requested_at": began + number * between,
                "model": chance.choice(("gpt-4o-mini-2024-07-18", "gpt-4o-2024-08-06")),
                "openai_project_id": f"proj_{chance.randrange(8)}",
                "api_key_id": f"key_{chance.randrange(20)}",
                "system_fingerprint": "fp_44709d6fcb",
                "service_tier": "default",
                "input_tokens": tokens,
                "input_cached_tokens": tokens // 3,
                "output_tokens": chance.randrange(900),
                "user_id": f"user-{chance.randrange(USERS)}",
                "action": chance.choice(("answer", "summarise", "classify")),
                "task_type": "support",
            }
            log.write(msgspec.json.encode(line) + b"\n")


def in_process(name: str, file: Path) -> Result:
    """One contender, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.requests", "--measure", name, str(file)]
    finished = subprocess.run(command, capture_output=True, check=True)
    return msgspec.json.decode(finished.stdout, type=Result)


def measured(name: str, file: Path) -> Result:
    """Land the file in a fresh folder, with all modules imported beforehand."""
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        began, cpu = time.perf_counter(), time.process_time()
        rows = CONTENDERS[name](file, Path(folder))
        return Result(
            rows=rows,
            total="",
            seconds=time.perf_counter() - began,
            cpu_seconds=time.process_time() - cpu,
            peak_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        )


def _ours(file: Path, folder: Path) -> int:
    settings = ExplicitSettings(data_dir=folder / "data", key_file=folder / "key" / "key")
    with open_registry(settings) as registry:
        landing = land_request_files(
            [file], warehouse=Warehouse.from_settings(settings), registry=registry, run_id="run"
        )
    return landing.new


def _duckdb(file: Path, folder: Path) -> int:
    """With the memory that the pipeline's connections have."""
    limit = ExplicitSettings(data_dir=folder).duckdb_memory_limit
    with duckdb.connect(str(folder / "x.duckdb"), config={"memory_limit": limit}) as connection:
        connection.execute("CREATE TABLE x AS FROM read_json($file)", {"file": str(file)})
        ((rows,),) = connection.execute("SELECT count(*) FROM x").fetchall()
    return int(rows)


CONTENDERS: dict[str, Callable[[Path, Path], int]] = {"ours": _ours, "duckdb": _duckdb}


if __name__ == "__main__":
    main()

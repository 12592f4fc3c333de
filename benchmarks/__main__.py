"""Every benchmark: ``python -m benchmarks [--save]``."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import collect, one_day, requests, scale
from benchmarks.machine import description
from benchmarks.runs import runner

RESULTS = Path(__file__).with_name("RESULTS.md")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--save", action="store_true", help=f"write {RESULTS.name} too")
    options = parser.parse_args()
    with runner() as run:
        collected = collect.report(run)
    landed = requests.report()
    scaled = scale.report()
    day = one_day.report()
    text = (
        f"# Results\n\nMeasured on {datetime.now(UTC):%Y-%m-%d}: {description()}.\n\n"
        f"## Collecting costs\n\n{collected}\n\n"
        f"## Request logs\n\n{landed}\n\n## The whole way\n\n{scaled}\n\n"
        f"## One day\n\n{day}\n"
    )
    print(text)
    if options.save:
        RESULTS.write_text(text)


if __name__ == "__main__":
    main()

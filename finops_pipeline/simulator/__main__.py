"""The simulator as a process of its own: ``python -m finops_pipeline.simulator``."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from finops_pipeline.errors import FinopsError, UsageError
from finops_pipeline.simulator import Scenario, load_scenario, serve


def main() -> int:
    """Serve until a signal; 0, or the exit code of what was wrong with the arguments."""
    parser = argparse.ArgumentParser(prog="python -m finops_pipeline.simulator")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--scenario", type=Path, help="YAML or JSON file; default: the demo's")
    parser.add_argument(
        "--control-token-file", type=Path, required=True, help="file that holds the control token"
    )
    parser.add_argument("--prerender", action="store_true", help="render all buckets first")
    options = parser.parse_args()
    try:
        scenario = load_scenario(options.scenario) if options.scenario else Scenario.demo()
        serve(
            scenario,
            options.port,
            _token(options.control_token_file),
            on_ready=_announce,
            prerender=options.prerender,
        )
    except FinopsError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


def _token(path: Path) -> str:
    try:
        token = path.read_text(encoding="utf-8").strip()
    except OSError:
        token = ""
    if not token:
        raise UsageError(f"The control token file {path} cannot be read or is empty.")
    return token


def _announce(base_url: str) -> None:
    sys.stdout.write(json.dumps({"base_url": base_url}) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())

"""No library reports to its makers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

LOAD = """
import sys
from pathlib import Path

calls = []
sys.addaudithook(
    lambda event, arguments: calls.append(arguments)
    if event in ("socket.connect", "socket.getaddrinfo") else None
)

from finops_pipeline.ingestion.loading import create_raw_tables
from finops_pipeline.warehouse import Warehouse

create_raw_tables(Warehouse(Path(sys.argv[1]), memory_limit="1GB"))

from dlt.common.runtime.telemetry import stop_telemetry

stop_telemetry()  # what had been queued is sent before this returns
print(calls)
"""


def test_a_load_calls_nobody(tmp_path: Path) -> None:
    command = [sys.executable, "-c", LOAD, str(tmp_path / "data")]
    finished = subprocess.run(command, capture_output=True, text=True, check=True)
    assert finished.stdout.strip() == "[]"

"""One contender in this process: ``python -m benchmarks.contenders NAME < task > result``."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import msgspec

from benchmarks.contenders.measured import measured
from benchmarks.contenders.task import Task


def main() -> None:
    # Libraries print; the result must stay alone on standard output.
    output, sys.stdout = sys.stdout, sys.stderr
    task = msgspec.json.decode(sys.stdin.buffer.read(), type=Task)
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        result = measured(sys.argv[1], task, Path(folder))
    output.write(msgspec.json.encode(result).decode())


if __name__ == "__main__":
    main()

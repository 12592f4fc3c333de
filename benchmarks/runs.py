"""Starting contenders, each in a fresh process, alternating."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from statistics import median

import msgspec

from benchmarks.contenders.task import Result, Task


class Runner:
    """Runs contenders as an installed program runs: with its byte code already compiled."""

    def __init__(self, byte_code: str) -> None:
        self._environment = os.environ | {
            "PYTHONPYCACHEPREFIX": byte_code,
            "RUNTIME__DLTHUB_TELEMETRY": "false",
        }
        self._environment.pop("PYTHONDONTWRITEBYTECODE", None)

    def run(self, name: str, task: Task) -> Result:
        """One contender, in a process of its own.

        Raises:
            RuntimeError: it failed; with what it wrote last.
        """
        finished = subprocess.run(
            [sys.executable, "-m", "benchmarks.contenders", name],
            input=msgspec.json.encode(task),
            capture_output=True,
            env=self._environment,
            check=False,
        )
        if finished.returncode:
            raise RuntimeError(f"{name} failed:\n{finished.stderr.decode()[-2000:]}")
        return msgspec.json.decode(finished.stdout, type=Result)

    def rounds(self, tasks: Mapping[str, Task], repeat: int) -> dict[str, list[Result]]:
        """``repeat`` rounds of contenders and their tasks, every other one in reverse order.

        Side by side, so that a machine that is slow for a while is slow for all of them.
        """
        results: dict[str, list[Result]] = {name: [] for name in tasks}
        for number in range(repeat):
            for name in tasks if number % 2 == 0 else reversed(list(tasks)):
                results[name].append(self.run(name, tasks[name]))
        return results


@contextmanager
def runner() -> Iterator[Runner]:
    with tempfile.TemporaryDirectory(prefix="benchmark-") as byte_code:
        yield Runner(byte_code)


def speed(result: Result) -> float:
    """Rows a second."""
    return result.rows / result.seconds


def pair_ratio(ours: Sequence[Result], other: Sequence[Result]) -> float:
    """How many times as fast as ``other``: the median of the rounds' own ratios."""
    return median(speed(a) / speed(b) for a, b in zip(ours, other, strict=True))

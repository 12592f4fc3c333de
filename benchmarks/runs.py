"""Starting contenders, each in a fresh process, alternating."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
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

    def rounds(self, names: Sequence[str], task: Task, repeat: int) -> dict[str, list[Result]]:
        """``repeat`` rounds of all contenders, every other round in reverse order.

        Side by side, so that a machine that is slow for a while is slow for all of them.
        """
        results: dict[str, list[Result]] = {name: [] for name in names}
        for number in range(repeat):
            for name in names if number % 2 == 0 else reversed(names):
                results[name].append(self.run(name, task))
        return results


@contextmanager
def runner() -> Iterator[Runner]:
    with tempfile.TemporaryDirectory(prefix="benchmark-") as byte_code:
        yield Runner(byte_code)


def speed(result: Result) -> float:
    """Rows a second."""
    return result.rows / result.seconds


def pair_ratio(ours: Sequence[Result], other: Sequence[Result]) -> float:
    """How many times faster than ``other``: the median of the rounds' own ratios."""
    return median(speed(a) / speed(b) for a, b in zip(ours, other, strict=True))

"""Running one contender and looking at the clock, the memory and what it landed."""

from __future__ import annotations

import importlib
import resource
import time
from pathlib import Path

from benchmarks.contenders.task import Contender, Result, Task


def measured(name: str, task: Task, folder: Path) -> Result:
    """Run the contender of module ``name`` in this process."""
    collect: Contender = importlib.import_module(f"benchmarks.contenders.{name}").collect
    cpu, began = time.process_time(), time.perf_counter()
    read_back = collect(task, folder)
    seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - cpu
    peak_bytes = _peak_memory()
    rows, total = read_back()
    return Result(rows, total, seconds, cpu_seconds, peak_bytes)


def _peak_memory() -> int:
    try:
        # ru_maxrss would count the parent too, from before the program was started in it.
        lines = Path("/proc/self/status").read_text().splitlines()
        peak = next(line for line in lines if line.startswith("VmHWM"))
        return int(peak.split()[1]) * 1024
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes, on macOS

"""A warehouse of its own, and other programs that hold its files."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from finops_pipeline.warehouse import Warehouse

Program = subprocess.Popen[str]
StartProgram = Callable[..., Program]


@pytest.fixture
def told() -> list[str]:
    """What somebody who waits was told."""
    return []


@pytest.fixture
def warehouse(tmp_path: Path, told: list[str]) -> Warehouse:
    """A warehouse whose data directory does not exist yet, and that waits for nobody."""
    return Warehouse(
        tmp_path / "data",
        memory_limit="100MB",
        writer_timeout=0,
        client_timeout=0,
        on_wait=told.append,
    )


@contextmanager
def _running(code: str, arguments: tuple[object, ...]) -> Iterator[Program]:
    with subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as program:
        try:
            assert program.stdout is not None
            assert program.stdout.readline() == "ready\n"
            yield program
        finally:
            program.kill()


@pytest.fixture
def start_program() -> Iterator[StartProgram]:
    """Starts Python programs, which print ``ready``, and ends those still running."""
    with ExitStack() as stack:
        yield lambda code, *arguments: stack.enter_context(_running(code, arguments))

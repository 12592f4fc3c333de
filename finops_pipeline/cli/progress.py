"""Progress of a run: bars on a terminal, a few plain lines elsewhere; always on stderr."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from finops_pipeline.ingestion.outcome import in_words
from finops_pipeline.ingestion.request_outcome import in_words as requests_in_words

if TYPE_CHECKING:
    from finops_pipeline.ingestion.outcome import Progress as CollectProgress
    from finops_pipeline.ingestion.request_outcome import RequestProgress


_SECONDS_BETWEEN_LINES = 30.0
"""Where there are no bars."""


class RunProgress:
    """Shows how far collecting and building are."""

    def __init__(self, console: Console, bars: Progress) -> None:
        self._console = console
        self._bars = bars
        self._task = bars.add_task("", start=False, visible=False, detail="")
        self._nodes = 0
        self._next_line = _SECONDS_BETWEEN_LINES
        self._said = False

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """One part of the run; its duration is said at its end where there are no bars."""
        began = time.monotonic()
        self._nodes = 0
        self._next_line = _SECONDS_BETWEEN_LINES
        self._said = False
        self._bars.reset(self._task, description=name, total=None, visible=True, detail="")
        if not self._console.is_terminal:
            self._console.print(f"{name} …", highlight=False)
        yield
        if not self._console.is_terminal:
            took = time.monotonic() - began
            self._console.print(f"{name}: {took:.1f} s", highlight=False)

    def collecting(self, progress: CollectProgress) -> None:
        words = in_words(progress)
        self._bars.update(
            self._task, total=progress.buckets, completed=progress.buckets_done, detail=words
        )
        # What is slow by its nature says so at once.
        begins = progress.pace is not None and not progress.loads and not self._said
        if not self._console.is_terminal and (begins or progress.seconds >= self._next_line):
            self._said = True
            self._next_line = progress.seconds + _SECONDS_BETWEEN_LINES
            self._console.print(words, highlight=False)

    def landing(self, progress: RequestProgress) -> None:
        words = requests_in_words(progress)
        self._bars.update(
            self._task, total=progress.size_bytes, completed=progress.bytes_read, detail=words
        )
        if not self._console.is_terminal and progress.seconds >= self._next_line:
            self._next_line = progress.seconds + _SECONDS_BETWEEN_LINES
            self._console.print(words, highlight=False)

    def node_finished(self, name: str) -> None:
        self._nodes += 1
        self._bars.update(self._task, detail=f"{self._nodes} models and tests, last {name}")


@contextmanager
def run_progress() -> Iterator[RunProgress]:
    """Progress on standard error while the block runs."""
    console = Console(stderr=True)
    bars = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        TimeElapsedColumn(),
        TextColumn("{task.fields[detail]}", style="dim"),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    with bars:
        yield RunProgress(console, bars)

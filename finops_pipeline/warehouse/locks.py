"""One writer at a time, by a lock that the operating system drops when its holder dies.

A lock row in a database or an orchestrator's slot survives ``kill -9`` and blocks every later
run; an ``flock`` does not. Beside it lies a note that says who holds it, so that whoever waits
can be told for whom.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from finops_pipeline.errors import FinopsError

_POLL_SECONDS = 0.1
_PATIENCE_SECONDS = 1.0
_REMIND_SECONDS = 15.0

_log = logging.getLogger(__name__)

OnWait = Callable[[str], None]
"""Called with one sentence when somebody has to wait, and again every fifteen seconds."""


def say(sentence: str) -> None:
    """Tell a person at a terminal for whom we wait, and whoever reads the run's log."""
    print(sentence, file=sys.stderr, flush=True)
    _log.info(sentence)


class WriterLock:
    """The warehouse's writer lock.

    Args:
        path: The lock file; a note about its holder lies beside it (``….holder.json``).
        timeout: Seconds to wait before giving up.
        on_wait: Told for whom we wait.
    """

    def __init__(self, path: Path, *, timeout: float, on_wait: OnWait = say) -> None:
        self._path = path
        self._note = path.with_suffix(".holder.json")
        self._timeout = timeout
        self._on_wait = on_wait

    @contextmanager
    def hold(self, purpose: str) -> Iterator[None]:
        """Hold the lock while the block runs.

        Raises:
            FinopsError: another process held it for longer than the timeout; names the process,
                what it does and since when.
        """
        lock = FileLock(self._path, timeout=0, thread_local=False)
        deadline = time.monotonic() + self._timeout
        next_word = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                lock.acquire()
                break
            except Timeout:
                now = time.monotonic()
                if now >= deadline:
                    raise FinopsError(
                        f"The warehouse {self._path.parent} is still held by {self._holder()} "
                        f"after {self._timeout:.0f} s of waiting.",
                        "Wait for it to end, or stop it, then run this again.",
                    ) from None
                if now >= next_word:
                    self._on_wait(f"Waiting for the warehouse: held by {self._holder()}.")
                    next_word = now + _REMIND_SECONDS
                time.sleep(_POLL_SECONDS)
        try:
            self._write_note(purpose)
            yield
        finally:
            self._note.unlink(missing_ok=True)
            lock.release()

    def _write_note(self, purpose: str) -> None:
        since = datetime.now(UTC).isoformat(timespec="seconds")
        self._note.write_text(json.dumps({"pid": os.getpid(), "doing": purpose, "since": since}))

    def _holder(self) -> str:
        try:
            note = json.loads(self._note.read_text())
            return f"process {note['pid']} ({note['doing']}, since {note['since']})"
        except (OSError, ValueError, KeyError):
            return "a process that left no note about itself"

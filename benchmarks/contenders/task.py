"""What a contender gets, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import duckdb
from msgspec import Struct

GROUP_BY = ("project_id", "line_item", "api_key_id")


class Task(Struct, frozen=True):
    """What to collect.

    Attributes:
        base_url: The API; ends in ``/v1``.
        keys: Team → simulated admin key.
        start: First UTC day.
        end: The UTC day after the last.
        buckets_per_page: How many days to ask for at once, for contenders that do not find out.
    """

    base_url: str
    keys: dict[str, str]
    start: date
    end: date
    buckets_per_page: int


class Result(Struct, frozen=True):
    """What a contender did.

    Attributes:
        rows / total: Rows landed, and the exact sum of their amounts as text.
        seconds: From before the first call until everything is in place. Imports at the head of
            modules are not in it; imports that a library makes later are.
        cpu_seconds: Of all threads, in the same time.
        peak_bytes: The process's largest resident memory, from its start on.
    """

    rows: int
    total: str
    seconds: float
    cpu_seconds: float
    peak_bytes: int


ReadBack = Callable[[], tuple[int, str]]
"""Gives rows and total of what has been collected; called outside the measured time."""

Contender = Callable[[Task, Path], ReadBack]
"""Collects a task into a folder of its own."""


def from_database(path: Path, table: str, amount: str = "amount") -> ReadBack:
    """Read back from a DuckDB file."""

    def read() -> tuple[int, str]:
        with duckdb.connect(str(path), read_only=True) as connection:
            ((rows, total),) = connection.execute(
                f"SELECT count(*), CAST(sum({amount}) AS VARCHAR) FROM {table}"
            ).fetchall()
        return rows, total

    return read

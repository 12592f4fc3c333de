"""What a contender gets, and what it gives back."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Protocol

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
        rows / total: Rows landed, and the exact sum of their amounts as text; read back from the
            database, outside the measured time.
        seconds: From before the first call until the database file is closed; imports at the
            head of modules are not in it, imports that a library makes later are.
        cpu_seconds: Of all threads, in the same time.
        peak_bytes: The process's largest resident memory, from its start to its end.
    """

    rows: int
    total: str
    seconds: float
    cpu_seconds: float
    peak_bytes: int


class Contender(Protocol):
    """Collects a task into a folder of its own; gives the query for its rows and total."""

    def __call__(self, task: Task, folder: Path) -> Landed: ...


class Landed(Struct, frozen=True):
    """Where the rows are: a DuckDB file, and a table and column of amounts in it."""

    database: Path
    table: str
    amount: str = "amount"

"""The pipeline's collection up to the files that DuckDB would load.

What DuckDB takes is bounded by a setting of its own; this shows what reading takes.
"""

from __future__ import annotations

from decimal import localcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlt.destinations import dummy

from benchmarks.contenders.ours import collect_into
from benchmarks.contenders.task import ReadBack, Task
from finops_pipeline.ingestion.outcome import add_up
from finops_pipeline.warehouse import Warehouse

if TYPE_CHECKING:
    from dlt.common.destination import Destination


class Nowhere(Warehouse):
    """A warehouse whose loads end before the database."""

    def destination(self) -> Destination[Any, Any]:
        return dummy(loader_file_format="parquet", completed_prob=1.0)


def collect(task: Task, folder: Path) -> ReadBack:
    """The whole range of all teams, with the default settings."""
    collection = collect_into(Nowhere(folder, memory_limit="1GB"), task)

    def read() -> tuple[int, str]:
        with localcontext(prec=60):
            total = sum(add_up(bucket.costs for bucket in collection.buckets).values())
        return collection.rows_landed, f"{total:f}"

    return read

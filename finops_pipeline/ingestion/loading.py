"""dlt: writing batches into the raw tables, one visible load at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import dlt
from dlt.common.runtime.telemetry import stop_telemetry
from dlt.extract import DltResource
from dlt.pipeline.exceptions import PipelineStepFailed

from finops_pipeline.ingestion.reading import Batch
from finops_pipeline.ingestion.tables import RAW_TABLES
from finops_pipeline.warehouse.warehouse import RAW_SCHEMA, Warehouse

_PIPELINE = "finops"

# Whoever asks dlt for its configuration starts its telemetry: setting the configuration alone
# comes too late.
_runtime = dlt.current.run_context().runtime_config
stop_telemetry()
_runtime.dlthub_telemetry = False
dlt.current.run_context().initialize_runtime(_runtime)

dlt.config["normalize.parquet_normalizer.add_dlt_load_id"] = True
# A pipeline directory belongs to one run; there is no earlier state to fetch.
dlt.config["restore_from_destination"] = False


@dlt.source(name="openai")
def openai_admin(batches: Iterable[Batch]) -> DltResource:
    """What OpenAI's organization API answered: rows of new revisions, and the ledger.

    One resource yields both, because dlt interleaves resources: as two, an entry could be
    written before the rows that it asserts.
    """

    @dlt.resource(name="openai_admin")
    def rows_then_entries() -> Iterator[Any]:
        # Typed and empty first, so that every table exists, whatever is collected first.
        for name, schema in RAW_TABLES.items():
            yield dlt.mark.with_table_name(schema.empty_table(), name)
        for batch in batches:
            for name, table in batch.tables:
                yield dlt.mark.with_table_name(table, name)

    return rows_then_entries


class Loader:
    """Loads of one run into the raw tables.

    Args:
        warehouse: Gives destination and lock.
        folder: A folder of this run's own: two runs that shared one would delete each other's
            files.
    """

    def __init__(self, warehouse: Warehouse, folder: Path) -> None:
        self._warehouse = warehouse
        self._pipeline = dlt.pipeline(
            _PIPELINE,
            pipelines_dir=str(folder),
            destination=warehouse.destination(),
            dataset_name=RAW_SCHEMA,
        )

    def load(self, batches: Iterable[Batch]) -> None:
        """Write ``batches`` as one load: all of it becomes visible at its end, or nothing.

        The warehouse is locked only after the last batch has arrived.

        Raises:
            FinopsError: the warehouse is held for too long by somebody else.
        """
        try:
            self._pipeline.extract(openai_admin(batches))
            self._pipeline.normalize()
            with self._warehouse.writing("loading raw tables"):
                with self._warehouse.connect():
                    pass  # waits until no foreign client holds the file; dlt opens it itself
                self._pipeline.load().raise_on_failed_jobs()
        except PipelineStepFailed as failed:
            # To dlt an interrupt, which is no Exception, is a step that failed; to whoever sent it
            # it is the end.
            if not isinstance(failed.__cause__, Exception | None):
                raise failed.__cause__ from None
            raise


def raw_tables_exist(warehouse: Warehouse) -> bool:
    """Whether a load has ever created the raw tables. Only while writing."""
    with warehouse.connect() as connection:
        found = connection.execute(
            "SELECT count(*) FROM information_schema.tables "
            "WHERE table_schema = $schema AND table_name IN (SELECT unnest($names))",
            {"schema": RAW_SCHEMA, "names": [*RAW_TABLES, "_dlt_loads"]},
        ).fetchall()
    return bool(found[0][0] == len(RAW_TABLES) + 1)


def create_raw_tables(warehouse: Warehouse) -> None:
    """Create the raw tables, empty and typed, in a warehouse that has none yet."""
    with warehouse.writing("looking for raw tables"):
        if raw_tables_exist(warehouse):
            return
    with warehouse.scratch_folder() as folder:
        Loader(warehouse, folder).load([])

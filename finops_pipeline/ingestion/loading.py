"""dlt: writing batches into the raw tables, one visible load at a time."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import dlt
import duckdb
import pyarrow as pa
from dlt.common.runtime.telemetry import stop_telemetry
from dlt.extract import DltResource
from dlt.pipeline.exceptions import PipelineStepFailed

from finops_pipeline.ingestion.batches import Batch
from finops_pipeline.ingestion.pseudonyms import remember
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
def openai_admin(batches: Iterable[Batch], tables: Mapping[str, pa.Schema]) -> DltResource:
    """What OpenAI's organization API answered, or applications logged: rows, then their ledger.

    One resource yields both, because dlt interleaves resources: as two, an entry could be
    written before the rows that it asserts.
    """

    @dlt.resource(name="openai_admin")
    def rows_then_entries() -> Iterator[Any]:
        # Typed and empty first, so that every table exists, whatever is collected first.
        for name, schema in tables.items():
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
        erased: Gives the pseudonyms of erased users as known at the moment.
        tables: Raw tables that each load makes if there are none yet, which takes it a while;
            none after :func:`create_raw_tables`.
    """

    def __init__(
        self,
        warehouse: Warehouse,
        folder: Path,
        *,
        erased: Callable[[], Collection[str]] = frozenset,
        tables: Mapping[str, pa.Schema] = RAW_TABLES,
    ) -> None:
        self._warehouse = warehouse
        self._erased = erased
        self._tables = tables
        self._pipeline = dlt.pipeline(
            _PIPELINE,
            pipelines_dir=str(folder),
            destination=warehouse.destination(),
            dataset_name=RAW_SCHEMA,
        )

    def load(self, batches: Iterable[Batch]) -> None:
        """Write ``batches`` as one load: all of it becomes visible at its end, or nothing.

        The warehouse is locked only after the last batch has arrived. Users come first and from
        memory: a file of theirs in between could be left behind.

        Raises:
            FinopsError: the warehouse is held for too long by somebody else.
        """
        users: dict[str, str] = {}

        def noting_users() -> Iterator[Batch]:
            for batch in batches:
                users.update(batch.users)
                yield batch

        try:
            self._pipeline.extract(openai_admin(noting_users(), self._tables))
            self._pipeline.normalize()
            with self._warehouse.writing("loading raw tables"):
                # Waits until no foreign client holds the file; dlt opens it itself.
                with self._warehouse.connect() as connection:
                    if users:
                        remember(connection, users, self._erased())
                self._pipeline.load().raise_on_failed_jobs()
        except PipelineStepFailed as failed:
            # To dlt an interrupt, which is no Exception, is a step that failed; to whoever sent it
            # it is the end.
            if not isinstance(failed.__cause__, Exception | None):
                raise failed.__cause__ from None
            raise


def raw_tables(connection: duckdb.DuckDBPyConnection) -> set[str]:
    """The raw tables that there are. Until the first load these are none."""
    found = connection.execute(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = $schema",
        {"schema": RAW_SCHEMA},
    ).fetchall()
    return {name for (name,) in found}


def _raw_columns(connection: duckdb.DuckDBPyConnection) -> set[tuple[str, str]]:
    return set(
        connection.execute(
            "SELECT table_name, column_name FROM information_schema.columns "
            "WHERE table_schema = $schema",
            {"schema": RAW_SCHEMA},
        ).fetchall()
    )


def ledger_exists(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether anything was ever loaded."""
    return raw_tables(connection) >= {"collections", "openai_projects", "_dlt_loads"}


def create_raw_tables(warehouse: Warehouse) -> None:
    """Create the raw tables and columns that the warehouse has not yet, empty and typed."""
    wanted = {(name, column) for name, schema in RAW_TABLES.items() for column in schema.names}
    with warehouse.writing("looking for raw tables"), warehouse.connect() as connection:
        if "_dlt_loads" in raw_tables(connection) and _raw_columns(connection) >= wanted:
            return
    with warehouse.scratch_folder() as folder:
        Loader(warehouse, folder).load([])

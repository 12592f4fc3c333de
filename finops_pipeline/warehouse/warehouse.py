"""The raw warehouse: a DuckDB file with one writer."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from finops_pipeline.errors import FinopsError
from finops_pipeline.settings import Settings
from finops_pipeline.warehouse.locks import OnWait, WriterLock, say

if TYPE_CHECKING:
    import pyarrow as pa
    from dlt.common.destination import Destination

RAW_SCHEMA = "raw"

WRITER_TIMEOUT_SECONDS = 600.0
"""Our own writers hold the lock for one load or one build, and end."""

CLIENT_TIMEOUT_SECONDS = 30.0
"""A client that opened the file by hand keeps it until its user leaves."""

_HOLDER = re.compile(r"Conflicting lock is held in (?P<program>.*?) \(PID (?P<pid>\d+)\)")


class Warehouse:
    """Opens, locks and replaces the pipeline's database files.

    Nothing is touched before a method is called.

    Args:
        data_dir: Folder of every file.
        memory_limit: DuckDB's memory limit for each connection, as DuckDB writes it (``1GB``).
        writer_timeout: Seconds to wait for another of our writers.
        client_timeout: Seconds to wait for a foreign DuckDB client.
        on_wait: Told for whom we wait.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        memory_limit: str,
        writer_timeout: float = WRITER_TIMEOUT_SECONDS,
        client_timeout: float = CLIENT_TIMEOUT_SECONDS,
        on_wait: OnWait = say,
    ) -> None:
        self.data_dir = data_dir
        self.path = data_dir / "warehouse.duckdb"
        self.marts_path = data_dir / "marts.duckdb"
        self.memory_limit = memory_limit
        self._scratch = data_dir / "tmp"
        self._client_timeout = client_timeout
        self._writer_timeout = writer_timeout
        self._on_wait = on_wait
        self._lock = WriterLock(
            data_dir / "warehouse.lock", timeout=writer_timeout, on_wait=on_wait
        )

    @property
    def _config(self) -> dict[str, str]:
        return {
            "memory_limit": self.memory_limit,
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
        }

    @classmethod
    def from_settings(cls, settings: Settings) -> Warehouse:
        return cls(settings.data_dir, memory_limit=settings.duckdb_memory_limit)

    def with_patience(self, seconds: float) -> Warehouse:
        """The same warehouse for someone who must not wait long for others."""
        return Warehouse(
            self.data_dir,
            memory_limit=self.memory_limit,
            writer_timeout=min(seconds, self._writer_timeout),
            client_timeout=min(seconds, self._client_timeout),
            on_wait=self._on_wait,
        )

    def ensure_folder(self) -> None:
        """Create the data directory, for its owner alone.

        Raises:
            FinopsError: it cannot be created or written.
        """
        try:
            self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            writable = os.access(self.data_dir, os.W_OK | os.X_OK)
        except OSError as error:
            raise self._unwritable(error.strerror or type(error).__name__) from None
        if not writable:
            raise self._unwritable("permission denied")

    def _unwritable(self, why: str) -> FinopsError:
        return FinopsError(
            f"The data directory {self.data_dir} cannot be written: {why}.",
            "Make it writable, or set FINOPS_DATA_DIR to a folder that is.",
        )

    @contextmanager
    def writing(self, purpose: str) -> Iterator[None]:
        """Be the one writer while the block runs; ``purpose`` is what others are told.

        Raises:
            FinopsError: another process held the warehouse for too long, or the data directory
                cannot be written.
        """
        self.ensure_folder()
        try:
            with self._lock.hold(purpose):
                yield
        except PermissionError as error:
            raise self._unwritable(error.strerror or "permission denied") from None

    @contextmanager
    def connect(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A read-write connection to the raw warehouse, in UTC. Only inside :meth:`writing`.

        Raises:
            FinopsError: a client that is not ours holds the file for too long, or the file is
                no DuckDB database.
        """
        connection = self._open(self.path)
        try:
            yield connection
        finally:
            connection.close()

    def _open(self, path: Path) -> duckdb.DuckDBPyConnection:
        deadline = time.monotonic() + self._client_timeout
        told = False
        while True:
            try:
                connection = duckdb.connect(str(path), config={**self._config})
                connection.execute("SET TimeZone = 'UTC'")
                return connection
            except duckdb.Error as error:
                holder = _HOLDER.search(str(error))
                if holder is None:
                    raise FinopsError(
                        f"{path} cannot be opened: {str(error).splitlines()[0]}",
                        "Check that it is a DuckDB file of this version and readable.",
                    ) from None
                who = f"process {holder['pid']} ({holder['program']})"
                if time.monotonic() >= deadline:
                    raise FinopsError(
                        f"{path} is open in {who}, which has kept it for "
                        f"{self._client_timeout:.0f} s.",
                        "Close that program, then run this again; to look at figures, open "
                        "marts.duckdb read-only instead.",
                    ) from None
                if not told:
                    self._on_wait(f"Waiting for {path.name}: open in {who}.")
                    told = True
                time.sleep(0.2)

    def replace_raw_tables(self, tables: dict[str, pa.Table]) -> None:
        """Replace small tables of schema ``raw`` in one transaction. Only while writing."""
        with self.connect() as connection:
            connection.begin()
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {RAW_SCHEMA}")
            for name, table in tables.items():
                connection.register("incoming", table)
                connection.execute(
                    f'CREATE OR REPLACE TABLE {RAW_SCHEMA}."{name}" AS SELECT * FROM incoming'
                )
                connection.unregister("incoming")
            connection.commit()

    def destination(self) -> Destination[Any, Any]:
        """Where dlt loads the raw tables. Opened by dlt, only inside :meth:`writing`."""
        from dlt.destinations import duckdb as duckdb_destination
        from dlt.destinations.impl.duckdb.configuration import DuckDbCredentials

        return duckdb_destination(
            credentials=DuckDbCredentials(str(self.path), global_config=self._config),
            create_indexes=False,
        )

    @contextmanager
    def scratch_folder(self) -> Iterator[Path]:
        """A folder for one run's files, removed afterwards.

        Folders of runs that were killed are removed by the next run.

        Raises:
            FinopsError: the data directory cannot be written.
        """
        self.ensure_folder()
        try:
            self._scratch.mkdir(exist_ok=True)
            self.remove_dead_scratch_folders()
            folder = Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=self._scratch))
        except OSError as error:
            raise self._unwritable(error.strerror or type(error).__name__) from None
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def remove_dead_scratch_folders(self, *, dry_run: bool = False) -> int:
        """Remove folders of processes that were killed; how many, or with ``dry_run`` would be."""
        folders = self._scratch.iterdir() if self._scratch.exists() else ()
        dead = [folder for folder in folders if not _alive(folder.name)]
        if not dry_run:
            for folder in dead:
                shutil.rmtree(folder, ignore_errors=True)
        return len(dead)


def _alive(folder_name: str) -> bool:
    try:
        os.kill(int(folder_name.split("-", maxsplit=1)[0]), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True

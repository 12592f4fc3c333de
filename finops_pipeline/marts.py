"""The published marts, read-only: as data frames, and for the commands that show them."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from finops_pipeline.errors import FinopsError, UsageError
from finops_pipeline.settings import load_settings

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

# Extensions, proxies and secrets of the machine stay out of reach; nothing is written for want of
# memory either. A proxy is named, or DuckDB would show the environment's with its password.
_CLOSED = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "allow_unsigned_extensions": "false",
    "allow_persistent_secrets": "false",
    "http_proxy": "none",
    "temp_directory": "",
}


def read(name: str, *, path: str | os.PathLike[str] | None = None) -> pd.DataFrame:
    """A published table as a data frame of Arrow types: money stays decimal.

    Sums, means, grouping, pivots, joins and comparisons with :class:`~decimal.Decimal` are exact.
    Adding or multiplying two money columns needs more than Arrow's 38 digits and raises
    ``ArrowInvalid``; ``rolling`` turns to floats. Do these in SQL, or on a narrower type first.

    Args:
        name: A table of the published marts, as ``fct_team_daily_costs``.
        path: The file to read; without it, ``marts.duckdb`` in the data directory.

    Returns:
        All rows; amounts ``decimal128(38, 18)``, days ``date32`` (UTC), times
        ``timestamp[us, tz=UTC]``.

    Raises:
        UsageError: there is no such table.
        FinopsError: nothing is published there, or the file cannot be read.
    """
    import duckdb
    import pandas as pd

    file = _file(path)
    with connect(file) as connection:
        _check_name(name, _tables(connection))
        try:
            table = connection.execute(f'SELECT * FROM marts.main."{name}"').to_arrow_table()
        except duckdb.Error as error:
            raise _unreadable(file, error) from None
    frame: pd.DataFrame = table.to_pandas(types_mapper=pd.ArrowDtype)
    return frame


def tables(*, path: str | os.PathLike[str] | None = None) -> list[str]:
    """The names of the published tables, sorted.

    Raises:
        FinopsError: nothing is published there, or the file cannot be read.
    """
    with connect(_file(path)) as connection:
        return _tables(connection)


@contextmanager
def connect(path: Path, *, memory_limit: str | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
    """The published file as database ``marts``, read-only, in UTC, its configuration locked.

    The file is attached to a database in memory. Opened by its own name, it would be shared with
    other connections of this process: one that was opened before the last publishing would show
    its old figures, and one with other options would refuse.

    DuckDB always allows the attached file itself and its write-ahead log, also with external
    access off, so that ``COPY … TO`` could write them: statements of others must be checked.

    Args:
        path: The file.
        memory_limit: As DuckDB writes it (``1GB``); without it, DuckDB's own.

    Raises:
        FinopsError: nothing is published there, or the file cannot be read.
    """
    import duckdb

    _check_file(path)
    config = _CLOSED if memory_limit is None else {**_CLOSED, "memory_limit": memory_limit}
    connection = duckdb.connect(":memory:", config=dict(config))
    try:
        try:
            literal = str(path).replace("'", "''")
            connection.execute(f"ATTACH '{literal}' AS marts (READ_ONLY)")
        except duckdb.Error as error:
            raise _unreadable(path, error) from None
        connection.execute("USE marts")
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        yield connection
    finally:
        connection.close()


def near_matches(name: str, known: list[str]) -> str:
    """What to try instead of an unknown name, as a sentence; empty where nothing is near."""
    spelled = {candidate.casefold(): candidate for candidate in known}
    near = difflib.get_close_matches(name.casefold(), spelled, n=3, cutoff=0.6)
    return f"Did you mean {' or '.join(spelled[match] for match in near)}?" if near else ""


def _file(path: str | os.PathLike[str] | None) -> Path:
    return load_settings().marts_path if path is None else Path(path).expanduser().absolute()


def _check_file(path: Path) -> None:
    try:
        path.stat()
        left_behind = path.with_name(path.name + ".wal")
        was_written = left_behind.exists()
    except (FileNotFoundError, NotADirectoryError):
        raise FinopsError(
            f"No marts are published at {path}.",
            "Publish them with `finops run`, or with `make demo` for an example; another data "
            "directory is named by FINOPS_DATA_DIR.",
        ) from None
    except OSError as error:
        raise FinopsError(
            f"The published marts {path} cannot be read: {error.strerror}.",
            "Ask for permission to read that folder.",
        ) from None
    # DuckDB would mix in whatever that log holds, and no build has published it.
    if was_written:
        raise FinopsError(
            f"{left_behind} lies beside the published marts: a program opened them for writing.",
            "Close that program and delete that file, or publish anew with `finops build`.",
        )


def _tables(connection: duckdb.DuckDBPyConnection) -> list[str]:
    rows = connection.execute(
        "SELECT table_name FROM information_schema.tables "
        "WHERE table_catalog = 'marts' AND table_schema = 'main' ORDER BY table_name"
    ).fetchall()
    return [str(name) for (name,) in rows]


def _check_name(name: str, known: list[str]) -> None:
    if name not in known:
        raise UsageError(
            f"There is no published table {name!r}.",
            f"{near_matches(str(name), known)} Published are: {', '.join(known)}.".strip(),
        )


def _unreadable(path: Path, error: Exception) -> FinopsError:
    return FinopsError(
        f"The published marts {path} cannot be read: {str(error).splitlines()[0]}.",
        "Close any program that has them open for writing; if they are damaged, `finops build` "
        "publishes them anew.",
    )

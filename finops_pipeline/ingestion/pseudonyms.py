"""Users in the warehouse: a pseudonym in every row, and the way back in a table apart."""

from __future__ import annotations

import hmac
import re
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from threading import Lock
from typing import Protocol

import duckdb
import pyarrow as pa

from finops_pipeline.warehouse.warehouse import Warehouse

_PSEUDONYM = re.compile(r"u_[0-9a-f]{24}")

_CREATE = """
CREATE SCHEMA IF NOT EXISTS raw;
CREATE TABLE IF NOT EXISTS raw.user_pseudonyms (
  user_pseudonym VARCHAR NOT NULL, user_id VARCHAR NOT NULL, first_seen_at TIMESTAMPTZ NOT NULL
)
"""

_REMEMBER = """
INSERT INTO raw.user_pseudonyms
SELECT seen.user_pseudonym, seen.user_id, $now FROM seen
ANTI JOIN raw.user_pseudonyms USING (user_pseudonym)
"""


_UUID_BYTES = 16
_SPARE_BLOCKS = 16
"""Beyond those that DuckDB counts as free: 4 MB, which the file gives back at once."""


class Users(Protocol):
    """Where the key of the pseudonyms is, and which users were erased."""

    def pseudonym_key(self) -> bytes: ...

    def erased_users(self) -> frozenset[str]: ...


def is_pseudonym(text: str) -> bool:
    """Whether ``text`` is a pseudonym and no user id of OpenAI's."""
    return _PSEUDONYM.fullmatch(text) is not None


def pseudonym(key: bytes, user_id: str) -> str:
    """``u_`` and 24 hexadecimal digits: the beginning of HMAC-SHA256 of the id under ``key``.

    Keyed, because user ids can be listed: anyone could try out a plain hash. 96 bits keep a
    million users apart with a chance of a collision below 1e-16.
    """
    return f"u_{hmac.digest(key, user_id.encode(), 'sha256').hex()[:24]}"


class Pseudonyms:
    """Turns the user ids of one collection into pseudonyms, and remembers whose they are.

    Usable from several threads. The key is opened at the first user id.

    Args:
        users: Gives the key; asked once.
    """

    def __init__(self, users: Users) -> None:
        self._users = users
        self._opening = Lock()
        self._key: bytes | None = None

    def replaced(self, rows: pa.RecordBatch) -> tuple[pa.RecordBatch, dict[str, str]]:
        """``rows`` with pseudonyms in ``user_id``, and the user id of each pseudonym in them.

        Raises:
            FinopsError: the key of the pseudonyms does not open.
        """
        place = rows.schema.get_field_index("user_id")
        if place < 0 or rows.column(place).null_count == rows.num_rows:
            return rows, {}
        coded = rows.column(place).dictionary_encode()
        key = self._opened()
        user_ids = coded.dictionary.to_pylist()
        names = [pseudonym(key, user_id) for user_id in user_ids]
        column = pa.array(names, pa.string()).take(coded.indices)
        return rows.set_column(place, rows.schema.field(place), column), dict(
            zip(names, user_ids, strict=True)
        )

    def _opened(self) -> bytes:
        with self._opening:
            if self._key is None:
                self._key = self._users.pseudonym_key()
            return self._key


def remember(
    connection: duckdb.DuckDBPyConnection, users: Mapping[str, str], erased: Collection[str]
) -> None:
    """Add who is behind each pseudonym to the map; who was erased stays out. Only while writing.

    Args:
        users: Pseudonym → OpenAI's user id.
        erased: Pseudonyms, read while writing: whoever erases a user writes after that.
    """
    connection.execute(_CREATE)
    kept = {name: user_id for name, user_id in users.items() if name not in erased}
    seen = pa.table(
        {
            "user_pseudonym": pa.array(kept.keys(), pa.string()),
            "user_id": pa.array(kept.values(), pa.string()),
        }
    )
    connection.register("seen", seen)
    connection.execute(_REMEMBER, {"now": datetime.now(UTC)})
    connection.unregister("seen")


def user_behind(warehouse: Warehouse, user_pseudonym: str) -> str | None:
    """OpenAI's id of the user behind a pseudonym, if the map has it.

    Raises:
        FinopsError: the warehouse is held by somebody else for too long.
    """
    with warehouse.writing("looking up a user"), warehouse.connect() as connection:
        if not _map_exists(connection):
            return None
        found = connection.execute(
            "SELECT user_id FROM raw.user_pseudonyms WHERE user_pseudonym = $it",
            {"it": user_pseudonym},
        ).fetchone()
    return None if found is None else str(found[0])


def forget(warehouse: Warehouse, user_pseudonym: str) -> bool:
    """Take a user out of the map, and the id out of the file's bytes; whether the map had it.

    DuckDB leaves deleted rows where they were until their blocks are used again. So the map is
    written anew, and every free block is filled once.

    Raises:
        FinopsError: the warehouse is held by somebody else for too long.
    """
    with warehouse.writing("erasing a user"):
        # A collection that was killed may have left answers of OpenAI there.
        warehouse.remove_dead_scratch_folders()
        with warehouse.connect() as connection:
            if not _map_exists(connection):
                return False
            ((had,),) = connection.execute(
                "SELECT count(*) > 0 FROM raw.user_pseudonyms WHERE user_pseudonym = $it",
                {"it": user_pseudonym},
            ).fetchall()
            connection.execute(
                "CREATE OR REPLACE TEMP TABLE kept AS "
                "SELECT * FROM raw.user_pseudonyms WHERE user_pseudonym <> $it",
                {"it": user_pseudonym},
            )
            connection.begin()
            connection.execute(f"DROP TABLE raw.user_pseudonyms; {_CREATE}")
            connection.execute("INSERT INTO raw.user_pseudonyms SELECT * FROM kept")
            connection.commit()
            _fill_free_blocks(connection)
    return bool(had)


def _fill_free_blocks(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("CHECKPOINT")
    ((free, size),) = connection.execute(
        "SELECT free_blocks, block_size FROM pragma_database_size()"
    ).fetchall()
    # Random, because what can be compressed would fill nothing.
    connection.execute(
        "CREATE OR REPLACE TABLE raw.filler AS SELECT uuid() AS filler FROM range($rows)",
        {"rows": (free + _SPARE_BLOCKS) * size // _UUID_BYTES},
    )
    connection.execute("CHECKPOINT")
    connection.execute("DROP TABLE raw.filler")
    connection.execute("CHECKPOINT")


def _map_exists(connection: duckdb.DuckDBPyConnection) -> bool:
    ((exists,),) = connection.execute(
        "SELECT count(*) > 0 FROM information_schema.tables "
        "WHERE table_schema = 'raw' AND table_name = 'user_pseudonyms'"
    ).fetchall()
    return bool(exists)

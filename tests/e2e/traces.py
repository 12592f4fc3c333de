"""Searching everything that a process leaves for pieces of secrets."""

from __future__ import annotations

import gzip
import io
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

PIECE = 12
"""Letters of a secret that must not be seen together."""

_BLOCK = 6
"""Any 12 letters hold one of the secret's blocks of six whole, so looking for these is enough."""

_PARQUET = b"PAR1"


def holds_piece(data: bytes, secret: str) -> bool:
    """Whether any 12 successive letters of the secret are in ``data``."""
    letters = secret.encode()
    for start in range(0, len(letters) - _BLOCK + 1, _BLOCK):
        block = letters[start : start + _BLOCK]
        at = data.find(block)
        while at >= 0:
            around = data[max(at - _BLOCK, 0) : at + PIECE]
            first, last = max(start - _BLOCK, 0), min(start, len(letters) - PIECE)
            if any(letters[i : i + PIECE] in around for i in range(first, last + 1)):
                return True
            at = data.find(block, at + 1)
    return False


@dataclass
class Search:
    """Where pieces of named secrets were seen.

    Attributes:
        secrets: Name → text.
        found: (name of the secret, place), in no order.
    """

    secrets: dict[str, str]
    found: set[tuple[str, str]] = field(default_factory=set)

    def text(self, place: str, text: str | bytes) -> None:
        """Look at one text."""
        data = text.encode() if isinstance(text, str) else text
        for name, secret in self.secrets.items():
            if holds_piece(data, secret):
                self.found.add((name, place))

    def folders(self, *folders: Path) -> None:
        """Look at every file below, once; at gzip's, Parquet and DuckDB's opened as well."""
        for folder in folders:
            for path in _files(folder):
                for data in _contents(path):
                    self.text(str(path.relative_to(folder.parent)), data)
                self.text(f"name of {path.name}", path.name)


def _files(folder: Path) -> Iterator[Path]:
    # Unlike rglob, it goes on where a process at work removes a folder under its hands.
    for parent, _, names in os.walk(folder):
        yield from (Path(parent, name) for name in names)


def _contents(path: Path) -> Iterator[bytes]:
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            return
        data = path.read_bytes()
    except FileNotFoundError:  # a process that is still at work has removed it
        return
    yield data
    if data.startswith(b"\x1f\x8b"):
        yield gzip.decompress(data)
    if path.suffix == ".duckdb":
        yield from _rows(path)
    # A file that is still being written has no end yet.
    if data.startswith(_PARQUET) and data[len(_PARQUET) :].endswith(_PARQUET):
        yield repr(pq.read_table(io.BytesIO(data)).to_pylist()).encode()


def _rows(path: Path) -> Iterator[bytes]:
    """A database's rows as text, because DuckDB compresses texts in its file."""
    with duckdb.connect(str(path), read_only=True) as connection:
        tables = connection.execute(
            "SELECT schema_name, table_name FROM duckdb_tables() WHERE NOT internal"
        ).fetchall()
        for schema, table in tables:
            rows = connection.execute(f'SELECT t::VARCHAR FROM "{schema}"."{table}" AS t')
            yield "\n".join(text for (text,) in rows.fetchall()).encode()

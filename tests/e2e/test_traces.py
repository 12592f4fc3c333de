"""The search for secrets finds what it has to find."""

from __future__ import annotations

import gzip
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.e2e.traces import PIECE, Search, holds_piece

KEY = "sk-admin-Wq7ZrT2mXc9LbN4vKd8JfH3sPg6YtR1u"


@settings(derandomize=True, max_examples=60)
@given(start=st.integers(0, len(KEY) - PIECE), before=st.binary(max_size=9))
def test_every_piece_is_found_wherever_it_lies(start: int, before: bytes) -> None:
    piece = KEY[start : start + PIECE].encode()
    assert holds_piece(before + piece + b"rest", KEY)
    assert not holds_piece(before + piece[:-1] + b"\x00rest", KEY)


def planted(folder: Path, how: str) -> None:
    piece = KEY[7:19]
    match how:
        case "text":
            (folder / "run.log").write_text(f"DEBUG key={piece}…")
        case "gzip":
            (folder / "load.jsonl.gz").write_bytes(gzip.compress(piece.encode()))
        case "duckdb":
            with duckdb.connect(str(folder / "x.duckdb")) as connection:
                connection.execute(
                    "CREATE TABLE t AS SELECT repeat('x', 40) || ? || i AS text "
                    "FROM range(3000) r(i)",
                    [piece],
                )
        case "parquet":
            pq.write_table(
                pa.table({"text": [f"xx{piece}{i}" for i in range(3000)]}), folder / "x.parquet"
            )
        case "name":
            (folder / f"{piece}.lock").touch()


@pytest.mark.parametrize("how", ["text", "gzip", "duckdb", "parquet", "name"])
def test_what_is_planted_in_a_file_is_found(tmp_path: Path, how: str) -> None:
    search = Search({"key": KEY, "other": "sk-admin-Zz00000000000000000000000000000"})
    folder = tmp_path / "data" / "deep"
    folder.mkdir(parents=True)
    (folder / "harmless").write_text("sk-admin-… ending in tR1u")
    search.folders(tmp_path / "data")
    assert search.found == set()

    planted(folder, how)
    search.folders(tmp_path / "data")
    assert {name for name, _ in search.found} == {"key"}

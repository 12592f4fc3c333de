"""Files of any kind, size and state: every good line is read, and memory stays bounded."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from finops_pipeline.request_logs import UnreadableFileError, log_files, name_of, opened
from finops_pipeline.request_logs import lines as lines_module
from finops_pipeline.request_logs.lines import LONGEST_LINE, Lines, json_lines
from tests.request_logs.test_line import GOOD, line


def contents(path: Path) -> tuple[list[str], list[tuple[int, str]], str | None]:
    """Request ids, rejected lines with their reasons, and why the reading ended early."""
    ids: list[str] = []
    rejected: list[tuple[int, str]] = []
    try:
        with opened(path, path.name) as log:
            for part in log.parsed():
                ids += part.requests.column("request_id").to_pylist()
                rejected += [(one.line_number, one.reason) for one in part.rejections]
    except UnreadableFileError as error:
        return ids, rejected, error.message
    return ids, rejected, None


def lines(count: int) -> bytes:
    return b"".join(line(request_id=f"r{number}") + b"\n" for number in range(count))


def table(**changes: Any) -> pa.Table:
    row = {**GOOD, "requested_at": datetime(2026, 3, 1, 9, tzinfo=UTC), **changes}
    return pa.Table.from_pylist([row, row])


def test_json_lines_plain_and_compressed_with_windows_newlines_and_mark(tmp_path: Path) -> None:
    plain, compressed = tmp_path / "a.jsonl", tmp_path / "a.jsonl.gz"
    data = b"\xef\xbb\xbf" + lines(3).replace(b"\n", b"\r\n") + b"\r\n{\r\n"
    plain.write_bytes(data)
    compressed.write_bytes(gzip.compress(data))
    assert contents(plain) == (["r0", "r1", "r2"], [(5, "is no JSON object")], None)
    assert contents(compressed) == contents(plain)
    with opened(plain, "a") as log:
        assert log.file_id == hashlib.sha256(data).hexdigest()


def test_an_empty_file_has_no_lines(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").touch()
    assert contents(tmp_path / "a.jsonl") == ([], [], None)


def test_lines_are_found_whatever_the_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    data = lines(5) + b"x" * 2 * LONGEST_LINE + b"\n" + lines(2)[:-1]
    found = {}
    for size in (7, 1000, 65_000, 100_000, 2**20):
        monkeypatch.setattr(lines_module, "_BLOCK_BYTES", size)
        seen: list[tuple[int, str]] = []
        for part in json_lines(io.BytesIO(data), compressed=False):
            if isinstance(part, Lines):
                seen += [
                    (part.first + place, hashlib.sha256(each).hexdigest())
                    for place, each in enumerate(part.lines)
                ]
            else:
                seen.append((part.number, part.line_hash))
        found[size] = seen
    truth = [hashlib.sha256(each).hexdigest() for each in data.split(b"\n")]
    for seen in found.values():
        assert seen == list(enumerate(truth, 1))


class Endless(io.RawIOBase):
    """A gigabyte without a newline, made as it is read."""

    def __init__(self) -> None:
        self.left = 2**30
        self.most_asked = 0

    def read(self, size: int = -1) -> bytes:
        self.most_asked = max(self.most_asked, size)
        assert size > 0
        size = min(size, self.left)
        self.left -= size
        return bytes(size)


def test_a_line_of_a_gigabyte_is_passed_over_block_by_block() -> None:
    import tracemalloc

    stream = Endless()
    tracemalloc.start()
    try:
        (part,) = json_lines(stream, compressed=False)  # type: ignore[arg-type]
        assert tracemalloc.get_traced_memory()[1] < 40 * 2**20
    finally:
        tracemalloc.stop()
    assert not isinstance(part, Lines)
    assert part.number == 1
    assert stream.left == 0


def test_what_came_before_damage_is_good(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(lines(40_000), compresslevel=1)[:-2000])
    ids, rejected, error = contents(path)
    assert error == "It is no whole gzip file: damaged, or still being written."
    assert len(ids) > 20_000
    assert rejected == []
    path.write_bytes(b"no gzip at all")
    assert contents(path) == ([], [], error)


def test_parquet_is_held_to_the_same_schema(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(table(action="answer"), path)
    assert contents(path) == (["req_1", "req_1"], [], None)
    frame = pd.DataFrame(
        {
            **{name: [value] for name, value in GOOD.items()},
            "requested_at": [pd.Timestamp("2026-03-01T09:30:00.123456789Z")],
            "user_id": [None],
        }
    )
    frame.to_parquet(path)
    assert contents(path) == (["req_1"], [], None)
    pq.write_table(table(input_tokens=1.5), path)
    assert contents(path)[1] == [
        (number, "input_tokens must be a whole number from 0 to 1000000000") for number in (1, 2)
    ]
    pq.write_table(table(requested_at=datetime(2026, 3, 1)), path)  # noqa: DTZ001
    assert {reason for _, reason in contents(path)[1]} == {
        "requested_at must be a time with its zone, as 2026-03-01T09:30:00Z"
    }


TEXTS = (
    pa.large_string(),
    pa.string_view(),
    pa.dictionary(pa.int32(), pa.string()),
    pa.binary(),
    pa.binary(6),
    pa.large_binary(),
    pa.binary_view(),
    pa.dictionary(pa.int32(), pa.binary()),
)
"""What writers keep texts in; some mark none as such."""


@pytest.mark.parametrize("kind", TEXTS, ids=str)
def test_a_parquet_text_is_one_whatever_holds_it(tmp_path: Path, kind: pa.DataType) -> None:
    path = tmp_path / "a.parquet"
    action = pa.array([b"answer", None], pa.binary(6) if kind == pa.binary(6) else pa.binary())
    pq.write_table(table().append_column("action", action.cast(kind)), path)
    with opened(path, "a") as log:
        (part,) = log.parsed()
    assert part.rejections == []
    assert part.requests.column("action").to_pylist() == ["answer", None]


@pytest.mark.parametrize("kind", [kind for kind in TEXTS if "binary" in str(kind)], ids=str)
def test_parquet_bytes_that_are_no_text_are_refused(tmp_path: Path, kind: pa.DataType) -> None:
    path = tmp_path / "a.parquet"
    action = pa.array([b"\xffABCDE"] * 2, pa.binary(6) if kind == pa.binary(6) else pa.binary())
    pq.write_table(table().append_column("action", action.cast(kind)), path)
    ids, _, error = contents(path)
    assert ids == []
    assert error is not None
    assert "ABCDE" not in error


def test_a_parquet_time_beyond_pythons_years_is_a_bad_line_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    good = table()
    seconds = pa.array([1_772_357_400, 1_772_357_400_000], pa.timestamp("s", "UTC"))
    place = good.schema.get_field_index("requested_at")
    pq.write_table(good.set_column(place, "requested_at", seconds), path)
    assert contents(path) == (
        ["req_1"],
        [(2, "requested_at must lie between 2020 and 2099")],
        None,
    )


def test_a_parquet_file_with_another_column_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(table(messages=[{"content": "hello"}], x=1), path)
    ids, rejected, error = contents(path)
    assert (ids, rejected) == ([], [])
    assert error == (
        "Nothing of it was read, because field messages holds message content, which is never "
        "stored; field x is unknown."
    )


def test_a_half_written_parquet_file_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(table(), path)
    path.write_bytes(path.read_bytes()[:-20])
    assert contents(path) == (
        [],
        [],
        "It is no whole Parquet file: damaged, or still being written.",
    )


def test_what_is_no_readable_file_says_why(tmp_path: Path) -> None:
    (tmp_path / "a.txt").touch()
    (tmp_path / "dir.jsonl").mkdir()
    os.mkfifo(tmp_path / "pipe.jsonl")
    assert [
        contents(tmp_path / name)[2] for name in ("a.txt", "b.jsonl", "dir.jsonl", "pipe.jsonl")
    ] == [
        "Its name does not end in .jsonl, .jsonl.gz, .parquet.",
        "It cannot be opened: No such file or directory.",
        "It cannot be opened: Is a directory.",
        "It is no regular file.",
    ]


def test_a_file_that_grows_while_it_is_read_is_not_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(lines(2))
    with opened(path, "a") as log:
        with path.open("ab") as more:
            more.write(lines(1))
        with pytest.raises(UnreadableFileError, match="was changed while it was being read"):
            list(log.parsed())


def test_lines_are_hashed_again_by_number(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(lines(5))
    each = lines(5).splitlines()
    with opened(path, "a") as log:
        assert log.line_hashes({2, 5}) == {
            number: hashlib.sha256(each[number - 1]).hexdigest() for number in (2, 5)
        }


def test_folders_are_searched_by_suffix(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    for name in ("b.jsonl", "a.parquet", "a.jsonl.part", "notes.txt", "deep/c.jsonl.gz"):
        (tmp_path / name).touch()
    found = log_files([tmp_path / "notes.txt", tmp_path, tmp_path / "b.jsonl"])
    assert [str(path.relative_to(tmp_path)) for path in found] == [
        "notes.txt",
        "a.parquet",
        "b.jsonl",
        "deep/c.jsonl.gz",
    ]
    assert name_of(found[3], tmp_path) == "deep/c.jsonl.gz"
    assert name_of(found[3], tmp_path / "elsewhere") == str(found[3])
    assert name_of(Path(os.fsdecode(b"/x/\xff.jsonl")), None) == "/x/\\xff.jsonl"

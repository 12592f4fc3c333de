"""Both contenders land every line."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.requests import CONTENDERS, measured, speeds, write_log


@pytest.mark.parametrize("name", CONTENDERS)
def test_a_contender_lands_every_line(name: str, tmp_path: Path) -> None:
    write_log(tmp_path / "log.jsonl", 50)
    result = measured(name, tmp_path / "log.jsonl")
    assert result.rows == 50
    assert result.peak_bytes > 0
    assert "50" in speeds({"ours": [result], "duckdb": [result]})

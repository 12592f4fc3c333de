"""Printed results: exact amounts, nothing cut, nothing that steers the terminal."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from finops_pipeline.cli.output import decimal_text, emit, emit_one, warn

ROW = {
    "day": date(2026, 3, 1),
    "at": datetime(2026, 3, 1, 9, 0, 0, 5, tzinfo=UTC),
    "cost": Decimal("123456789012345678.000000000000000001"),
    "none": None,
    "flag": True,
    "count": 3,
    "name": "größer",
}


def test_json_keeps_every_digit_and_every_type(capsys: pytest.CaptureFixture[str]) -> None:
    emit([{**ROW, "hidden": 1}], list(ROW), json=True, title="")
    printed = capsys.readouterr().out

    assert json.loads(printed) == [
        {
            "day": "2026-03-01",
            "at": "2026-03-01T09:00:00.000005+00:00",
            "cost": "123456789012345678.000000000000000001",
            "none": None,
            "flag": True,
            "count": 3,
            "name": "größer",
        }
    ]
    assert "größer" in printed


def test_a_tiny_amount_is_written_out(capsys: pytest.CaptureFixture[str]) -> None:
    emit_one({"cost": Decimal("1E-18")}, ["cost"], json=True, sentence="")
    emit([{"cost": Decimal("1E-18")}], ["cost"], json=False, title="")
    printed = capsys.readouterr().out
    assert '"0.000000000000000001"' in printed
    assert "│ 0.000000000000000001 │" in printed


@pytest.mark.parametrize("value", [Decimal("NaN"), float("nan"), b"bytes"])
def test_what_has_no_json_form_is_an_error(value: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        emit([{"cost": value}], ["cost"], json=True, title="")


def test_a_piped_table_is_not_cut(capsys: pytest.CaptureFixture[str]) -> None:
    emit(
        [{f"column {n}": "x" * 40 for n in range(12)}],
        [f"column {n}" for n in range(12)],
        json=False,
        title="Wide",
    )
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 6
    assert lines[4].count("x" * 40) == 12


def test_names_are_text_not_markup_nor_terminal_codes(capsys: pytest.CaptureFixture[str]) -> None:
    emit([{"name": "[red]a\x1b[2Jb\nc"}], ["name"], json=False, title="[b]Title")
    printed = capsys.readouterr().out
    assert "[red]a\ufffd[2Jb\ufffdc" in printed
    assert "[b]Title" in printed


def test_a_result_is_a_sentence_or_an_object(capsys: pytest.CaptureFixture[str]) -> None:
    emit_one({"a": 1, "b": 2}, ["a"], json=False, sentence="Done.")
    emit_one({"a": 1, "b": 2}, ["a"], json=True, sentence="Done.")
    assert capsys.readouterr().out == 'Done.\n{\n  "a": 1\n}\n'


def test_warnings_go_beside(capsys: pytest.CaptureFixture[str]) -> None:
    warn("careful.")
    assert capsys.readouterr() == ("", "Warning: careful.\n")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("1.500000000000000000", "1.50"),
        ("0E-18", "0.00"),
        ("-0.000004000000", "-0.000004"),
        ("1E+3", "1000"),
        ("7", "7"),
        ("7.5", "7.5"),
    ],
)
def test_zeros_at_the_end_are_left_out_beyond_two_decimals(value: str, text: str) -> None:
    assert decimal_text(Decimal(value)) == text

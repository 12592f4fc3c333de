"""The list of checks is complete, and what it points at exists."""

from __future__ import annotations

import ast
import re
from itertools import chain
from pathlib import Path

PROJECT = Path(__file__).parents[2]
PAGE = PROJECT / "docs" / "security.md"
SECTIONS = {
    "Authentication and authorization": 15,
    "Data protection": 12,
    "API": 10,
    "Infrastructure": 8,
    "Compliance": 5,
}

_ROW = re.compile(r"^\| (\d+) \| (.+) \| (.+) \|$", re.MULTILINE)
_POINTER = re.compile(r"`([\w./-]+\.\w+|Makefile)(?:::(\w+))?`")


def rows() -> dict[str, list[tuple[int, str]]]:
    """Section → (number, answer) of its checks."""
    parts = re.split(r"^## (.+)$", PAGE.read_text(), flags=re.MULTILINE)
    return {
        title.rpartition(" (")[0]: [(int(row[0]), row[2]) for row in _ROW.findall(body)]
        for title, body in zip(parts[1::2], parts[2::2], strict=True)
        if _ROW.search(body)
    }


def functions_in(path: Path) -> set[str]:
    return {
        node.name
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef)
    }


def test_there_are_fifty_checks_in_five_sections() -> None:
    found = rows()
    assert {title: len(checks) for title, checks in found.items()} == SECTIONS
    numbers = [number for number, _ in chain.from_iterable(found.values())]
    assert numbers == list(range(1, 51))
    for title, count in SECTIONS.items():
        assert f"## {title} ({count})" in PAGE.read_text()


def test_each_check_is_answered_or_left_to_the_operator() -> None:
    unanswered = [
        number
        for number, answer in chain.from_iterable(rows().values())
        if not _POINTER.search(answer) and "left to the operator" not in answer.lower()
    ]
    assert unanswered == []


def test_every_file_and_test_that_it_names_exists() -> None:
    answers = [answer for _, answer in chain.from_iterable(rows().values())]
    pointers = list(chain.from_iterable(map(_POINTER.findall, answers)))
    assert len(pointers) > 50
    missing = [
        f"{path}::{test}" if test else path
        for path, test in pointers
        if not (PROJECT / path).is_file() or (test and test not in functions_in(PROJECT / path))
    ]
    assert missing == []

"""The reviewed file as YAML: read without a trap, its mistakes named by line, and written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from finops_pipeline.errors import FinopsError, UsageError
from finops_pipeline.registry import rules
from finops_pipeline.registry.document import Document

MAX_BYTES = 4 * 2**20
"""A file of thousands of projects is far below; whatever is above is no such file."""

_MAX_DEPTH = 10
"""Levels of nesting; the deepest list of a document is at the fifth."""

# The C parser is ten times as fast, where PyYAML was built with it.
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_document(path: Path) -> Document:
    """Read a file.

    Raises:
        FinopsError: it cannot be read.
        UsageError: it is no such document; names the line, the entry and what to mend.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise FinopsError(
            f"The file {path} cannot be read: {error.strerror}.", "Name a file that can be."
        ) from None
    if len(content) > MAX_BYTES:
        raise UsageError(
            f"The file {path} is larger than {MAX_BYTES // 2**20} MB.", "Divide it into several."
        )
    try:
        return parse_document(content.decode())
    except UnicodeDecodeError:
        raise UsageError(f"The file {path} is not UTF-8 text.", "Save it as UTF-8.") from None
    except UsageError as error:
        raise UsageError(f"In {path}: {error.message}", error.fix) from None


def parse_document(text: str) -> Document:
    """The document that a YAML text holds.

    Raises:
        UsageError: it is none; names the line, the entry and what to mend.
    """
    try:
        _check_flat(text)
        loader = _Loader(text)
        try:
            root = loader.get_single_node()
            lines = _lines(root)
            value = {} if root is None else loader.construct_document(root)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        raise UsageError(
            f"Line {mark.line + 1 if mark else '?'} is no YAML: {error.problem}.",
            "Mind indentation, colons and quotes.",
        ) from None
    except yaml.YAMLError:
        raise UsageError("It is no YAML.", "Remove control characters from it.") from None
    except ValueError as error:  # a day that is none, as 2026-13-01
        raise UsageError(f"It has a value that is none: {error}.", "Mend that value.") from None
    try:
        return Document.model_validate(value)
    except ValidationError as error:
        raise _in_words(error, value, lines) from None


class _Dumper(yaml.SafeDumper):
    """Writes a day out wherever it stands, where others write it once and refer to it."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002
        return True


def document_text(document: Document) -> str:
    """A document as YAML, which reads back as the same."""
    value = document.model_dump(exclude_unset=True)
    return yaml.dump(
        _plain(value),
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        width=100,
    )


_FIRST = ("team_id", "project_id", "openai_project_id", "effective")
"""What an entry is about stands before what is said of it."""


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        order = sorted(value, key=lambda name: name not in _FIRST)
        return {name: _plain(value[name]) for name in order}
    return [_plain(part) for part in value] if isinstance(value, tuple) else value


def _check_flat(text: str) -> None:
    """Refuse what makes a small file a large value, or a deep one, before it is one.

    Read event by event: the C parser builds nested values recursively, without a bound.
    """
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        line = event.start_mark.line + 1 if event.start_mark else 0
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise UsageError(
                f"Line {line} has an anchor or an alias (& or *).", "Write the values out."
            )
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > _MAX_DEPTH:
            raise UsageError(
                f"Line {line} is nested too deeply.", "`finops registry export` shows the form."
            )


Location = tuple[int | str, ...]


def _lines(root: yaml.Node | None) -> dict[Location, int]:
    """The line of each value by its place; refuses a name that is given twice."""
    lines: dict[Location, int] = {}
    waiting: list[tuple[Location, yaml.Node | None]] = [((), root)]
    while waiting:
        place, node = waiting.pop()
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                inner = (*place, str(key.value))
                if inner in lines:
                    raise UsageError(
                        f"Line {key.start_mark.line + 1} gives {rules.shown(str(key.value))} a "
                        f"second time, after line {lines[inner]}.",
                        "Keep one of the two.",
                    )
                lines[inner] = key.start_mark.line + 1
                waiting.append((inner, value))
        elif isinstance(node, yaml.SequenceNode):
            for number, value in enumerate(node.value):
                lines[*place, number] = value.start_mark.line + 1
                waiting.append(((*place, number), value))
    return lines


_FIXES = {
    "extra_forbidden": "is no name that is known here; `finops registry export` shows which are",
    "missing": "is missing",
    "string_type": "is no text; put it into quotes",
    "bool_type": "is neither true nor false",
    "dict_type": "takes names with values",
    "model_type": "takes names with values",
    "tuple_type": "is no list; begin each entry with '-'",
}
"""What is wrong, by pydantic's names of errors."""


def _in_words(error: ValidationError, value: Any, lines: dict[Location, int]) -> UsageError:
    problems = error.errors(include_url=False, include_input=False, include_context=False)
    said = []
    for problem in problems[:5]:
        place = problem["loc"]
        known = next((lines[place[:n]] for n in range(len(place), 0, -1) if place[:n] in lines), 1)
        text = _FIXES.get(problem["type"], problem["msg"].removeprefix("Value error, ").rstrip("."))
        said.append(f"line {known}{_entry(place, value)}: {text}")
    more = f"; and {len(problems) - 5} more" if len(problems) > 5 else ""
    return UsageError(f"{'; '.join(said)}{more}.", "Mend it and apply it again.")


def _entry(place: Location, value: Any) -> str:
    """`` (project 'search', owners 2, valid_from)`` for a place in the file."""
    words = []
    names = {"teams": ("team", "team_id"), "projects": ("project", "project_id")}
    if len(place) > 1 and place[0] in names:
        what, id_name = names[str(place[0])]
        entry = value[place[0]][place[1]]
        name = entry.get(id_name) if isinstance(entry, dict) else None
        shown = rules.shown(name) if isinstance(name, str) else f"entry {int(place[1]) + 1}"
        words.append(f"{what} {shown}")
        place = place[2:]
    for part in place:
        if isinstance(part, int) and words:
            words[-1] += f" {part + 1}"
        else:
            words.append(rules.shown(str(part)).strip("'"))
    return f" ({', '.join(words)})" if words else ""

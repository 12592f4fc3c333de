"""Write the reference pages from what they describe: settings, command line, published marts.

``python docs/reference/generate.py`` writes them beside this file; with ``--check`` it writes
nothing and fails where a page on disk says something else.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any, Union, get_args, get_origin

import typer
import yaml
from pydantic import SecretStr
from pydantic.fields import FieldInfo
from typer.cli import get_docs_for_click
from typer.core import TyperGroup

from finops_pipeline.cli.main import app
from finops_pipeline.settings import Settings, variable_of

HERE = Path(__file__).parent
MARTS = HERE.parents[1] / "dbt_project" / "models" / "marts"

# A default that depends on the machine, in words.
_DEFAULTS_IN_WORDS = {"key_file": "`finops/key` under the user's configuration directory"}


def main(arguments: list[str]) -> int:
    """Write the pages, or compare them with ``--check``; 1 where one differs."""
    if arguments not in ([], ["--check"]):
        sys.stderr.write("usage: generate.py [--check]\n")
        return 2
    pages = {
        "settings.md": settings_page(),
        "cli.md": command_line_page(),
        "marts.md": marts_page(MARTS),
    }
    if not arguments:
        for name, text in pages.items():
            (HERE / name).write_text(text, encoding="utf-8")
        return 0
    outdated = [name for name, text in pages.items() if _on_disk(HERE / name) != text]
    for name in outdated:
        sys.stderr.write(f"docs/reference/{name} is out of date.\n")
    if outdated:
        sys.stderr.write("Write them anew with `python docs/reference/generate.py`.\n")
    return 1 if outdated else 0


def settings_page() -> str:
    """Every setting: variable, default, what it takes, meaning."""
    rows = [
        (f"`{variable_of(name)}`", _default(name, field), _takes(field), field.description or "")
        for name, field in Settings.model_fields.items()
    ]
    return _page(
        "Settings",
        "Environment variables, also read from `.env`; the environment goes first. "
        "`finops settings` shows the values in use and where each came from.",
        _table(("variable", "default", "takes", "meaning"), rows),
    )


def command_line_page() -> str:
    """Every command with its arguments and options, as Typer documents them."""
    command = typer.main.get_command(app)
    context = typer.Context(command, info_name="finops")
    _tell_in_full(command, context)
    text = get_docs_for_click(obj=command, ctx=context, name="finops", title="Command line")
    return _without_trailing_space(text)


def marts_page(models: Path) -> str:
    """Every published table with its columns, from the YAML beside the dbt models."""
    described = [
        model
        for file in sorted(models.rglob("*.yml"))
        for model in yaml.safe_load(file.read_text(encoding="utf-8")).get("models", ())
    ]
    parts = []
    for model in sorted(described, key=lambda model: str(model["name"])):
        parts.append(f"## `{model['name']}`\n\n{_one_line(model['description'])}\n")
        parts.append(_table(("column", "type", "meaning"), map(_column, model["columns"])))
    return _page(
        "Published marts",
        "The tables of `marts.duckdb`, schema `main`. Days are UTC, amounts are decimals in the "
        "currency of their row.",
        *parts,
    )


def _column(column: Mapping[str, Any]) -> tuple[str, str, str]:
    constraints = {constraint["type"] for constraint in column.get("constraints", ())}
    never_null = " Never null." if "not_null" in constraints else ""
    meaning = f"{_one_line(column.get('description', ''))}{never_null}"
    return f"`{column['name']}`", f"`{str(column['data_type']).upper()}`", meaning.strip()


def _default(name: str, field: FieldInfo) -> str:
    if field.default_factory is not None:
        return _DEFAULTS_IN_WORDS[name]
    return "unset" if field.default is None else f"`{field.default}`"


def _takes(field: FieldInfo) -> str:
    kind = _without_none(field.annotation)
    bounds = {
        bound: getattr(rule, bound)
        for rule in field.metadata
        for bound in ("ge", "le")
        if hasattr(rule, bound)
    }
    limits = f", at least {bounds['ge']}" if "ge" in bounds else ""
    limits += f", at most {bounds['le']}" if "le" in bounds else ""
    if kind is None:
        return "text"
    if issubclass(kind, StrEnum):
        return " or ".join(f"`{choice}`" for choice in kind)
    names = {
        int: "whole number",
        Decimal: "decimal number",
        date: "day, `YYYY-MM-DD`",
        SecretStr: "secret text",
    }
    plain = "path" if issubclass(kind, Path) else "text"
    return names.get(kind, plain) + limits


def _without_none(annotation: Any) -> type | None:
    if get_origin(annotation) in (Union, types.UnionType):
        annotation = next(kind for kind in get_args(annotation) if kind is not types.NoneType)
    return annotation if isinstance(annotation, type) else None


def _tell_in_full(command: Any, context: typer.Context) -> None:
    """Let lists of commands have whole first lines, which are cut at 45 letters otherwise."""
    if command.help:
        command.short_help = _one_line(command.help.split("\n\n")[0])
    if isinstance(command, TyperGroup):
        for name in command.list_commands(context):
            _tell_in_full(command.get_command(context, name), context)


def _page(title: str, introduction: str, *parts: str) -> str:
    return "\n".join((f"# {title}\n", f"{introduction}\n", *parts))


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    heads = list(heads)
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(map(_cell, line))} |\n" for line in lines)


def _cell(text: str) -> str:
    return _one_line(text).replace("|", r"\|")


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _without_trailing_space(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip().splitlines()) + "\n"


def _on_disk(page: Path) -> str | None:
    return page.read_text(encoding="utf-8") if page.exists() else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

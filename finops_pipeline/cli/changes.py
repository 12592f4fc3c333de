"""Changes of the registry in a few words, for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from finops_pipeline.cli.output import as_text


def change_text(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> str:
    """``cost_center: CC-1 → CC-2, effective: 2026-03-01``; what stays as it was is left out."""
    before, after = before or {}, after or {}
    parts = []
    for name in [*before, *(name for name in after if name not in before)]:
        old, new = _value(before.get(name)), _value(after.get(name))
        if old != new:
            parts.append(f"{name}: {old} → {new}" if name in before else f"{name}: {new}")
    return ", ".join(parts)


def subject_text(team_id: str | None, project_id: str | None) -> str:
    """``team search, project answers``; what there is not is left out."""
    named = (("team", team_id), ("project", project_id))
    return ", ".join(f"{what} {name}" for what, name in named if name is not None)


def _value(value: Any) -> str:
    if isinstance(value, list):
        return "; ".join(map(_value, value))
    return as_text(value)

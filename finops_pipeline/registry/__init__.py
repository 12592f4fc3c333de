"""Teams, their projects and their encrypted admin keys.

The names below are loaded at first use: the database libraries behind them take a third of the
time in which a command starts, and most commands never open the registry.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from finops_pipeline.registry.records import (
    CollectableTeam,
    KeyStatus,
    Project,
    ProjectKey,
    RegistrySnapshot,
    Team,
    TeamKey,
    TeamWithProjectKeys,
)

if TYPE_CHECKING:
    from finops_pipeline.registry.store import Registry, open_registry

__all__ = [
    "CollectableTeam",
    "KeyStatus",
    "Project",
    "ProjectKey",
    "Registry",
    "RegistrySnapshot",
    "Team",
    "TeamKey",
    "TeamWithProjectKeys",
    "open_registry",
]


def __getattr__(name: str) -> object:
    if name not in {"Registry", "open_registry"}:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from finops_pipeline.registry import store

    return getattr(store, name)

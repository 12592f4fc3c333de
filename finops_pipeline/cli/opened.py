"""The registry as the settings name it, for one command."""

from __future__ import annotations

from typing import TYPE_CHECKING

from finops_pipeline.errors import UsageError
from finops_pipeline.settings import Settings, load_settings

if TYPE_CHECKING:
    from finops_pipeline.registry import Registry


def has_registry(settings: Settings) -> bool:
    """Whether there is a registry yet: the first team that is added makes it."""
    return settings.registry_url is not None or settings.registry_path.exists()


def opened_registry(*, create: bool = False) -> Registry:
    """Open the registry; use it as a context manager, so that it is closed again.

    Raises:
        UsageError: there is none yet, and it should not be created.
        FinopsError: a setting, the registry's folder or the registry itself is not usable.
    """
    from finops_pipeline.registry import open_registry

    settings = load_settings()
    if not (create or has_registry(settings)):
        raise UsageError("No team is registered.", "Register one: finops team add ID")
    return open_registry(settings)

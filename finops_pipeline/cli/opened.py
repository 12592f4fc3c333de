"""The registry as the settings name it, for one command."""

from __future__ import annotations

from typing import TYPE_CHECKING

from finops_pipeline.settings import load_settings

if TYPE_CHECKING:
    from finops_pipeline.registry import Registry


def opened_registry() -> Registry:
    """Open the registry; use it as a context manager, so that it is closed again.

    Raises:
        FinopsError: a setting, the registry's folder or the registry itself is not usable.
    """
    from finops_pipeline.registry import open_registry

    return open_registry(load_settings())

"""The registry as the settings name it, for one command."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from finops_pipeline.errors import UsageError
from finops_pipeline.settings import Settings, load_settings

if TYPE_CHECKING:
    from finops_pipeline.registry import Registry

OnBehalfOfOption = Annotated[
    str | None,
    typer.Option(
        "--on-behalf-of",
        metavar="NAME",
        help="For whom you act; the audit log keeps it beside your user name.",
    ),
]


def has_registry(settings: Settings) -> bool:
    """Whether there is a registry yet: the first team that is added makes it."""
    return settings.registry_url is not None or settings.registry_path.exists()


def opened_registry(*, create: bool = False, on_behalf_of: str | None = None) -> Registry:
    """Open the registry; use it as a context manager, so that it is closed again.

    ``on_behalf_of`` is recorded in the audit log beside the operating-system user.

    Raises:
        UsageError: there is none yet, and it should not be created.
        FinopsError: a setting, the registry's folder or the registry itself is not usable.
    """
    from finops_pipeline.registry import open_registry

    settings = load_settings()
    if not (create or has_registry(settings)):
        raise UsageError("No team is registered.", "Register one: finops team add ID")
    return open_registry(settings, on_behalf_of=on_behalf_of)

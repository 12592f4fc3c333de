"""What wraps the stored keys, and where it lies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from finops_pipeline.doctor.check import Check, fail, ok
from finops_pipeline.settings import Settings

if TYPE_CHECKING:
    from finops_pipeline.registry import CollectableTeam


def wrapping_key(settings: Settings, teams: Sequence[CollectableTeam]) -> Iterator[Check]:
    """A data key made for the purpose can be wrapped and unwrapped."""
    from finops_pipeline.registry.envelope import KeyContext, api_host
    from finops_pipeline.registry.keys import ADMIN
    from finops_pipeline.registry.wrappers import Wrappers

    name = "wrapping_key"
    local = settings.kms_key_id is None
    if local and not settings.key_file.exists() and all(team.key is None for team in teams):
        yield ok(name, f"None yet; the first key makes {settings.key_file}.")
        return
    context = KeyContext(teams[0].team_id, ADMIN, api_host(settings.openai_base_url))
    with closing(Wrappers.from_settings(settings)) as wrappers:
        made = wrappers.new_data_key(context)
        assert wrappers.unwrap(made.wrapped, made.wrapped_by, context) == made.plaintext
    yield ok(name, f"It wraps and unwraps: {made.wrapped_by}.")


def key_file_place(settings: Settings) -> Iterator[Check]:
    """The local key file does not lie where a copy of the registry would take it along."""
    name = "key_file_place"
    if settings.kms_key_id is not None and not settings.key_file.exists():
        return
    key_file = settings.key_file.resolve()
    elsewhere = "Move it elsewhere, and point FINOPS_KEY_FILE at the new place."
    if key_file.is_relative_to(settings.data_dir.resolve()):
        yield fail(
            name,
            f"The key file {settings.key_file} lies inside the data directory: whoever copies the "
            "data has the key to every stored API key.",
            elsewhere,
        )
    elif key_file.parent == _registry_folder(settings):
        yield fail(
            name,
            f"The key file {settings.key_file} lies beside the registry: whoever copies that "
            "folder has the key to every stored API key.",
            elsewhere,
        )
    else:
        yield ok(name, f"{settings.key_file} is outside the data directory.")


def _registry_folder(settings: Settings) -> Path | None:
    """Where a SQLite registry lies that is not in the data directory."""
    from sqlalchemy import make_url

    if settings.registry_url is None:
        return None
    url = make_url(settings.registry_url.get_secret_value())
    if url.get_backend_name() != "sqlite" or not url.database:
        return None
    return Path(url.database).resolve().parent

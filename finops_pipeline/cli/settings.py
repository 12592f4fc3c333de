"""`finops settings`: each setting, its value and where that came from; secrets masked."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import SecretStr
from pydantic_settings import DotEnvSettingsSource, EnvSettingsSource
from sqlalchemy.engine import make_url

from finops_pipeline.cli.output import JsonOption, emit
from finops_pipeline.settings import Settings, load_settings, variable_of

COLUMNS = ("variable", "value", "source", "meaning")

_MASK = "***"

# Any other parameter of a database URL can hold a credential: drivers name them as they like.
_HARMLESS_PARAMETERS = frozenset(
    {"application_name", "charset", "connect_timeout", "host", "port", "sslmode"}
)


def settings(json: JsonOption = False) -> None:
    """Show every setting, its value and where it came from. Secrets are masked."""
    loaded = load_settings()
    sources = _sources()
    rows = [
        {
            "variable": variable_of(name),
            "value": _shown(name, getattr(loaded, name)),
            "source": sources.get(name, "default"),
            "meaning": field.description,
        }
        for name, field in Settings.model_fields.items()
    ]
    emit(rows, COLUMNS, json=json, title="Settings")


def masked_url(url: str) -> str:
    """A database URL without its password and without parameters that may hold a credential."""
    parsed = make_url(url)
    query = {
        name: value if name in _HARMLESS_PARAMETERS else _MASK
        for name, value in parsed.query.items()
    }
    rendered = parsed.set(query=query).render_as_string(hide_password=True)
    return rendered.replace("%2A%2A%2A", _MASK)


def _sources() -> Mapping[str, str]:
    """Where each field that is set was found; the environment goes before ``.env``."""
    found = dict.fromkeys(DotEnvSettingsSource(Settings)(), ".env")
    return found | dict.fromkeys(EnvSettingsSource(Settings)(), "environment")


def _shown(name: str, value: object) -> str | None:
    if value is None:
        return None
    if isinstance(value, SecretStr):
        return masked_url(value.get_secret_value()) if name == "registry_url" else _MASK
    return str(value)

"""Every setting, read once from the environment and ``.env``; nothing else reads either."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from platformdirs import user_config_path
from pydantic import AfterValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from finops_pipeline.errors import UsageError

LOOPBACK_HOSTS = frozenset({"127.0.0.1", "::1", "localhost"})


class CostSource(StrEnum):
    """Which source the daily marts report: what OpenAI billed, or usage at list price."""

    COSTS_V1 = "costs_v1"
    USAGE_V1 = "usage_v1"


def _https_unless_loopback(url: str) -> str:
    parts = urlsplit(url)
    if parts.username or parts.password:
        raise ValueError("must not carry a user name or password")
    if parts.scheme == "https" and parts.hostname:
        return url.rstrip("/")
    if parts.scheme == "http" and parts.hostname in LOOPBACK_HOSTS:
        return url.rstrip("/")
    raise ValueError("must be an https address (http only on 127.0.0.1, ::1 or localhost)")


def _absolute(path: Path) -> Path:
    return path.expanduser().absolute()


AbsolutePath = Annotated[Path, AfterValidator(_absolute)]


class Settings(BaseSettings):
    """The pipeline's settings. Each has a working default; see ``docs/reference/settings.md``.

    Raises:
        UsageError: from :func:`load_settings`, naming the variable and what it takes.
    """

    model_config = SettingsConfigDict(
        env_prefix="FINOPS_", env_file=".env", extra="ignore", frozen=True
    )

    data_dir: AbsolutePath = Field(
        default=Path("data"),
        validate_default=True,
        description="Folder for everything the pipeline writes.",
    )
    openai_base_url: Annotated[str, AfterValidator(_https_unless_loopback)] = Field(
        default="https://api.openai.com/v1",
        description="The OpenAI API; https only, except on loopback.",
    )
    start_date: date = Field(default=date(2025, 1, 1), description="First daily partition (UTC).")
    registry_url: SecretStr | None = Field(
        default=None,
        description="SQLAlchemy URL of the registry; unset: SQLite in the data directory.",
    )
    kms_key_id: str | None = Field(
        default=None,
        min_length=1,
        description="AWS KMS key that wraps new keys; unset: the local wrapping key.",
    )
    key_file: AbsolutePath = Field(
        default_factory=lambda: user_config_path("finops") / "key",
        description="The local wrapping key, mode 0600.",
    )
    cost_source: CostSource = Field(
        default=CostSource.COSTS_V1, description="Which source the daily marts report."
    )
    price_file: AbsolutePath | None = Field(
        default=None,
        description="YAML file of negotiated and missing prices; unset: the list prices alone.",
    )
    request_logs_dir: AbsolutePath | None = Field(
        default=None,
        description="Folder watched for request logs; unset: none is watched.",
    )
    restatement_days: int = Field(
        default=7, ge=1, le=180, description="Closed days read again by each daily run."
    )
    settle_days: int = Field(
        default=3,
        ge=0,
        le=180,
        description="Days after which an unchanged bucket counts as settled.",
    )
    tolerance: Decimal = Field(
        default=Decimal("0.05"),
        ge=0,
        le=1,
        max_digits=9,
        decimal_places=6,
        description="Reconciliation: tolerated ratio.",
    )
    tolerance_floor: Decimal = Field(
        default=Decimal("0.01"),
        ge=0,
        max_digits=38,
        decimal_places=18,
        description="Reconciliation: amount, in currency units, below which a gap never counts.",
    )
    request_tolerance: Decimal = Field(
        default=Decimal("0.05"),
        ge=0,
        le=1,
        max_digits=9,
        decimal_places=6,
        description="Requests: tolerated ratio between what one was billed and what it costs.",
    )
    max_concurrent_teams: int = Field(
        default=8, ge=1, le=64, description="Teams collected at once."
    )
    duckdb_memory_limit: str = Field(
        default="500MB",
        pattern=r"^(\d{2,}\s?(MB|MiB)|\d+(\.\d+)?\s?(GB|GiB|TB|TiB))$",
        description="Memory limit of each DuckDB connection.",
    )
    schedules_enabled: bool = Field(
        default=False,
        description="Whether schedules, repair_gaps and load_waiting_requests run by default.",
    )
    keep_runs_days: int = Field(
        default=90, ge=1, description="Housekeeping: days after which Dagster's runs are deleted."
    )
    keep_incomplete_loads_hours: int = Field(
        default=24,
        ge=1,
        description="Housekeeping: hours after which incomplete loads are deleted.",
    )

    @model_validator(mode="after")
    def _registry_url_parses(self) -> Self:
        if self.registry_url is not None:
            # Slow to import, and every command reads the settings.
            from sqlalchemy.engine import make_url
            from sqlalchemy.exc import ArgumentError

            try:
                make_url(self.registry_url.get_secret_value())
            except ArgumentError:
                raise ValueError("registry_url is not an SQLAlchemy URL") from None
        return self

    @property
    def registry_path(self) -> Path:
        """The registry's SQLite file, used while no registry URL is set."""
        return self.data_dir / "registry.db"

    @property
    def warehouse_path(self) -> Path:
        """The raw warehouse: written by the pipeline alone."""
        return self.data_dir / "warehouse.duckdb"

    @property
    def marts_path(self) -> Path:
        """The published marts: a read-only file, replaced in one step."""
        return self.data_dir / "marts.duckdb"

    @property
    def dagster_home(self) -> Path:
        """Dagster's instance directory, shared by ``finops run`` and the UI."""
        return self.data_dir / "dagster"


def variable_of(field: str) -> str:
    """The environment variable of a field: ``data_dir`` → ``FINOPS_DATA_DIR``."""
    return f"FINOPS_{field.upper()}"


def load_settings() -> Settings:
    """Read the settings, or say in one line which variable is wrong and what it takes.

    Raises:
        UsageError: a variable has a value that does not fit. The value itself is not repeated,
            because some hold passwords.
    """
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        field = str(first["loc"][0]) if first["loc"] else "registry_url"
        what = first["msg"].removeprefix("Value error, ")
        raise UsageError(
            f"Setting {variable_of(field)} is not usable: {what}.",
            "Correct it in the environment or in .env; `finops settings` lists all of them.",
        ) from None


class ExplicitSettings(Settings):
    """Settings from arguments and defaults alone, whatever the environment says.

    For the demonstration, which must never touch configured data or keys.
    """

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)

"""The registry's tables. Every time is stored in UTC and comes back aware."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import ClassVar

from sqlalchemy import (
    JSON,
    CheckConstraint,
    Date,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    LargeBinary,
    MetaData,
    String,
    TypeDecorator,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class UTCDateTime(TypeDecorator[datetime]):
    """A moment. SQLite keeps no offset, so UTC is put on when writing and back on when reading."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(
        self,
        value: datetime | None,
        dialect: Dialect,  # noqa: ARG002
    ) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError("a time without a zone was given to the registry")
        return value and value.astimezone(UTC)

    def process_result_value(
        self,
        value: datetime | None,
        dialect: Dialect,  # noqa: ARG002
    ) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """Constraints are named, because a later migration can only change what has a name."""

    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
        }
    )
    type_annotation_map: ClassVar = {
        datetime: UTCDateTime,
        bytes: LargeBinary,
        dict[str, str]: JSON,
    }


class TeamRow(Base):
    """A team; a deactivated one keeps its row, because its past spend is still reported."""

    __tablename__ = "teams"
    __table_args__ = (
        CheckConstraint("team_id <> '' AND team_id <> 'unallocated'", name="team_id_is_usable"),
        CheckConstraint("parent_team_id <> team_id", name="parent_is_another_team"),
        CheckConstraint("is_active = (deactivated_at IS NULL)", name="deactivation_has_a_time"),
    )

    team_id: Mapped[str] = mapped_column(String(63), primary_key=True)
    team_name: Mapped[str]
    parent_team_id: Mapped[str | None] = mapped_column(ForeignKey("teams.team_id"))
    owner_email: Mapped[str | None]
    budget_owner_email: Mapped[str | None]
    cost_center: Mapped[str | None]
    is_active: Mapped[bool]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    deactivated_at: Mapped[datetime | None]


class ProjectRow(Base):
    """A project as it is now; who owned it when is in :class:`OwnershipRow`."""

    __tablename__ = "projects"
    __table_args__ = (
        CheckConstraint(
            "project_id <> '' AND project_id <> 'unallocated'", name="project_id_is_usable"
        ),
        CheckConstraint("openai_project_id <> ''", name="openai_project_id_is_usable"),
        UniqueConstraint("openai_project_id"),
    )

    project_id: Mapped[str] = mapped_column(String(63), primary_key=True)
    project_name: Mapped[str]
    openai_project_id: Mapped[str]
    environment: Mapped[str | None]
    owner_email: Mapped[str | None]
    cost_center: Mapped[str | None]
    tags: Mapped[dict[str, str]]
    is_active: Mapped[bool]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class OwnershipRow(Base):
    """A project belongs to a team from ``valid_from`` (null: since ever) until before ``valid_to``.

    Two owners on one day would count money twice, hence one open period per project.
    """

    __tablename__ = "project_ownership"
    __table_args__ = (
        CheckConstraint("valid_from < valid_to", name="period_is_not_empty"),
        UniqueConstraint("project_id", "valid_from"),
        Index(
            "ux_project_ownership_open",
            "project_id",
            unique=True,
            sqlite_where=text("valid_to IS NULL"),
            postgresql_where=text("valid_to IS NULL"),
        ),
    )

    ownership_id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.project_id"))
    team_id: Mapped[str] = mapped_column(ForeignKey("teams.team_id"))
    valid_from: Mapped[date | None] = mapped_column(Date)
    valid_to: Mapped[date | None] = mapped_column(Date)


class KeyRow(Base):
    """An encrypted API key; at most one active admin key per team. Replaced keys keep their row."""

    __tablename__ = "api_keys"
    __table_args__ = (
        CheckConstraint("key_type IN ('admin', 'project')", name="key_type_is_known"),
        CheckConstraint(
            "(key_type = 'project') = (project_id IS NOT NULL)", name="project_keys_have_a_project"
        ),
        CheckConstraint("provider = 'openai'", name="provider_is_known"),
        CheckConstraint("is_active = (deactivated_at IS NULL)", name="deactivation_has_a_time"),
        Index(
            "ux_api_keys_active_admin",
            "team_id",
            unique=True,
            sqlite_where=text("key_type = 'admin' AND is_active"),
            postgresql_where=text("key_type = 'admin' AND is_active"),
        ),
    )

    key_id: Mapped[str] = mapped_column(String(36), primary_key=True)
    team_id: Mapped[str] = mapped_column(ForeignKey("teams.team_id"))
    key_type: Mapped[str]
    project_id: Mapped[str | None] = mapped_column(ForeignKey("projects.project_id"))
    provider: Mapped[str]
    encrypted_key: Mapped[bytes]
    encrypted_data_key: Mapped[bytes]
    iv: Mapped[bytes]
    last4: Mapped[str]
    fingerprint: Mapped[str]
    api_host: Mapped[str]
    organization_id: Mapped[str | None]
    wrapped_by: Mapped[str]
    is_active: Mapped[bool]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    deactivated_at: Mapped[datetime | None]

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
from sqlalchemy.schema import SchemaItem


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


def _one_at_a_time(table: str, subject: str) -> tuple[SchemaItem, ...]:
    """At most one open period for each ``subject``, and none that begin or end on the same day."""
    return (
        CheckConstraint("valid_from < valid_to", name="period_is_not_empty"),
        UniqueConstraint(subject, "valid_from"),
        Index(
            f"ux_{table}_open",
            subject,
            unique=True,
            sqlite_where=text("valid_to IS NULL"),
            postgresql_where=text("valid_to IS NULL"),
        ),
        Index(
            f"ux_{table}_ever",
            subject,
            unique=True,
            sqlite_where=text("valid_from IS NULL"),
            postgresql_where=text("valid_from IS NULL"),
        ),
    )


class TeamRow(Base):
    """A team; a deactivated one keeps its row, because its past spend is still reported."""

    __tablename__ = "teams"
    __table_args__ = (
        CheckConstraint("team_id <> '' AND team_id <> 'unallocated'", name="team_id_is_usable"),
        CheckConstraint("is_active = (deactivated_at IS NULL)", name="deactivation_has_a_time"),
    )

    team_id: Mapped[str] = mapped_column(String(63), primary_key=True)
    is_active: Mapped[bool]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    deactivated_at: Mapped[datetime | None]


class TeamAttributesRow(Base):
    """What was known of a team from ``valid_from`` (null: since ever) until before ``valid_to``."""

    __tablename__ = "team_attributes"
    __table_args__ = (
        CheckConstraint("parent_team_id <> team_id", name="parent_is_another_team"),
        *_one_at_a_time("team_attributes", "team_id"),
    )

    period_id: Mapped[int] = mapped_column(primary_key=True)
    team_id: Mapped[str] = mapped_column(ForeignKey("teams.team_id"))
    valid_from: Mapped[date | None] = mapped_column(Date)
    valid_to: Mapped[date | None] = mapped_column(Date)
    team_name: Mapped[str]
    parent_team_id: Mapped[str | None] = mapped_column(ForeignKey("teams.team_id"))
    owner_email: Mapped[str | None]
    budget_owner_email: Mapped[str | None]
    cost_center: Mapped[str | None]


class ProjectRow(Base):
    """A project; what is known of it and who owned it when are in tables of their own."""

    __tablename__ = "projects"
    __table_args__ = (
        CheckConstraint(
            "project_id <> '' AND project_id <> 'unallocated'", name="project_id_is_usable"
        ),
        CheckConstraint("openai_project_id <> ''", name="openai_project_id_is_usable"),
        UniqueConstraint("openai_project_id"),
    )

    project_id: Mapped[str] = mapped_column(String(63), primary_key=True)
    openai_project_id: Mapped[str]
    is_active: Mapped[bool]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class ProjectAttributesRow(Base):
    """What was known of a project from ``valid_from`` until before ``valid_to``."""

    __tablename__ = "project_attributes"
    __table_args__ = _one_at_a_time("project_attributes", "project_id")

    period_id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.project_id"))
    valid_from: Mapped[date | None] = mapped_column(Date)
    valid_to: Mapped[date | None] = mapped_column(Date)
    project_name: Mapped[str]
    environment: Mapped[str | None]
    owner_email: Mapped[str | None]
    cost_center: Mapped[str | None]
    tags: Mapped[dict[str, str]]


class OwnershipRow(Base):
    """A project belongs to a team from ``valid_from`` (null: since ever) until before ``valid_to``.

    Two owners on one day would count money twice.
    """

    __tablename__ = "project_ownership"
    __table_args__ = _one_at_a_time("project_ownership", "project_id")

    ownership_id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.project_id"))
    team_id: Mapped[str] = mapped_column(ForeignKey("teams.team_id"))
    valid_from: Mapped[date | None] = mapped_column(Date)
    valid_to: Mapped[date | None] = mapped_column(Date)


class KeyRow(Base):
    """An encrypted API key; one active admin key a team and one active project key a project.

    Replaced keys keep their row.
    """

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
        Index(
            "ux_api_keys_active_project",
            "project_id",
            unique=True,
            sqlite_where=text("key_type = 'project' AND is_active"),
            postgresql_where=text("key_type = 'project' AND is_active"),
        ),
    )

    key_id: Mapped[str] = mapped_column(String(36), primary_key=True)
    team_id: Mapped[str] = mapped_column(ForeignKey("teams.team_id"))
    key_type: Mapped[str]
    project_id: Mapped[str | None] = mapped_column(ForeignKey("projects.project_id"))
    provider: Mapped[str]
    # Read only where a key is opened: the database may forbid it to who just looks.
    encrypted_key: Mapped[bytes] = mapped_column(deferred=True, deferred_group="ciphertext")
    encrypted_data_key: Mapped[bytes] = mapped_column(deferred=True, deferred_group="ciphertext")
    iv: Mapped[bytes] = mapped_column(deferred=True, deferred_group="ciphertext")
    last4: Mapped[str]
    fingerprint: Mapped[str]
    api_host: Mapped[str]
    organization_id: Mapped[str | None]
    wrapped_by: Mapped[str]
    is_active: Mapped[bool]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    deactivated_at: Mapped[datetime | None]


class PseudonymKeyRow(Base):
    """The encrypted key of user pseudonyms, in the only row."""

    __tablename__ = "pseudonym_keys"
    __table_args__ = (CheckConstraint("pseudonym_key_id = 1", name="one_row"),)

    pseudonym_key_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    encrypted_key: Mapped[bytes]
    encrypted_data_key: Mapped[bytes]
    iv: Mapped[bytes]
    wrapped_by: Mapped[str]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class ErasedUserRow(Base):
    """A pseudonym of which nobody may be told any more who is behind it."""

    __tablename__ = "erased_users"

    user_pseudonym: Mapped[str] = mapped_column(primary_key=True)
    erased_at: Mapped[datetime]


class AuditRow(Base):
    """An entry of the audit log; triggers refuse to change or delete one."""

    __tablename__ = "audit_log"
    __table_args__ = (CheckConstraint("outcome IN ('done', 'refused')", name="outcome_is_known"),)

    sequence: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    recorded_at: Mapped[datetime]
    actor: Mapped[str]
    on_behalf_of: Mapped[str | None]
    run_id: Mapped[str | None]
    action: Mapped[str]
    outcome: Mapped[str]
    team_id: Mapped[str | None]
    project_id: Mapped[str | None]
    key_id: Mapped[str | None]
    before: Mapped[str | None]
    after: Mapped[str | None]
    detail: Mapped[str | None]
    previous_hash: Mapped[str] = mapped_column(String(64))
    entry_hash: Mapped[str] = mapped_column(String(64), unique=True)


class AuditHeadRow(Base):
    """The newest entry of the audit log, in the only row."""

    __tablename__ = "audit_head"
    __table_args__ = (CheckConstraint("head_id = 1", name="one_row"),)

    head_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    sequence: Mapped[int]
    entry_hash: Mapped[str] = mapped_column(String(64))

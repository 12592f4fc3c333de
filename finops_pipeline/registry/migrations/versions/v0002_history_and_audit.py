"""Dated attributes, the audit log, and one active key a project."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_TEAM_ATTRIBUTES = (
    "team_name",
    "parent_team_id",
    "owner_email",
    "budget_owner_email",
    "cost_center",
)
_PROJECT_ATTRIBUTES = ("project_name", "environment", "owner_email", "cost_center", "tags")
_REFUSAL = "the audit log is append-only"


def upgrade() -> None:
    op.create_table(
        "team_attributes",
        sa.Column("period_id", sa.Integer(), nullable=False),
        sa.Column("team_id", sa.String(63), nullable=False),
        sa.Column("valid_from", sa.Date()),
        sa.Column("valid_to", sa.Date()),
        sa.Column("team_name", sa.String(), nullable=False),
        sa.Column("parent_team_id", sa.String(63)),
        sa.Column("owner_email", sa.String()),
        sa.Column("budget_owner_email", sa.String()),
        sa.Column("cost_center", sa.String()),
        sa.PrimaryKeyConstraint("period_id", name="pk_team_attributes"),
        sa.CheckConstraint(
            "valid_from < valid_to", name=op.f("ck_team_attributes_period_is_not_empty")
        ),
        sa.CheckConstraint(
            "parent_team_id <> team_id", name=op.f("ck_team_attributes_parent_is_another_team")
        ),
        sa.UniqueConstraint("team_id", "valid_from", name="uq_team_attributes_team_id"),
        sa.ForeignKeyConstraint(["team_id"], ["teams.team_id"], name="fk_team_attributes_team_id"),
        sa.ForeignKeyConstraint(
            ["parent_team_id"], ["teams.team_id"], name="fk_team_attributes_parent_team_id"
        ),
    )
    op.create_table(
        "project_attributes",
        sa.Column("period_id", sa.Integer(), nullable=False),
        sa.Column("project_id", sa.String(63), nullable=False),
        sa.Column("valid_from", sa.Date()),
        sa.Column("valid_to", sa.Date()),
        sa.Column("project_name", sa.String(), nullable=False),
        sa.Column("environment", sa.String()),
        sa.Column("owner_email", sa.String()),
        sa.Column("cost_center", sa.String()),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("period_id", name="pk_project_attributes"),
        sa.CheckConstraint(
            "valid_from < valid_to", name=op.f("ck_project_attributes_period_is_not_empty")
        ),
        sa.UniqueConstraint("project_id", "valid_from", name="uq_project_attributes_project_id"),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.project_id"], name="fk_project_attributes_project_id"
        ),
    )
    for table, subject in (
        ("team_attributes", "team_id"),
        ("project_attributes", "project_id"),
        ("project_ownership", "project_id"),
    ):
        _unique_where(f"ux_{table}_ever", table, subject, "valid_from IS NULL")
        if table != "project_ownership":
            _unique_where(f"ux_{table}_open", table, subject, "valid_to IS NULL")
    _unique_where(
        "ux_api_keys_active_project",
        "api_keys",
        "project_id",
        "key_type = 'project' AND is_active",
    )
    _move_attributes()
    _create_audit_log()


def _unique_where(name: str, table: str, column: str, where: str) -> None:
    condition = sa.text(where)
    op.create_index(
        name,
        table,
        [column],
        unique=True,
        sqlite_where=condition,
        postgresql_where=condition,
    )


def _move_attributes() -> None:
    for table, subject, columns in (
        ("team", "team_id", _TEAM_ATTRIBUTES),
        ("project", "project_id", _PROJECT_ATTRIBUTES),
    ):
        names = ", ".join((subject, *columns))
        op.execute(f"INSERT INTO {table}_attributes ({names}) SELECT {names} FROM {table}s")
    with op.batch_alter_table("teams") as teams:
        teams.drop_constraint("fk_teams_parent_team_id", type_="foreignkey")
        teams.drop_constraint(op.f("ck_teams_parent_is_another_team"), type_="check")
        for column in _TEAM_ATTRIBUTES:
            teams.drop_column(column)
    with op.batch_alter_table("projects") as projects:
        for column in _PROJECT_ATTRIBUTES:
            projects.drop_column(column)


def _create_audit_log() -> None:
    op.create_table(
        "audit_log",
        sa.Column("sequence", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("on_behalf_of", sa.String()),
        sa.Column("run_id", sa.String()),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("team_id", sa.String()),
        sa.Column("project_id", sa.String()),
        sa.Column("key_id", sa.String()),
        sa.Column("before", sa.String()),
        sa.Column("after", sa.String()),
        sa.Column("detail", sa.String()),
        sa.Column("previous_hash", sa.String(64), nullable=False),
        sa.Column("entry_hash", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("sequence", name="pk_audit_log"),
        sa.UniqueConstraint("entry_hash", name="uq_audit_log_entry_hash"),
        sa.CheckConstraint(
            "outcome IN ('done', 'refused')", name=op.f("ck_audit_log_outcome_is_known")
        ),
    )
    head = op.create_table(
        "audit_head",
        sa.Column("head_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("entry_hash", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("head_id", name="pk_audit_head"),
        sa.CheckConstraint("head_id = 1", name=op.f("ck_audit_head_one_row")),
    )
    op.bulk_insert(head, [{"head_id": 1, "sequence": 0, "entry_hash": "0" * 64}])
    if op.get_bind().dialect.name == "sqlite":
        for event in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER audit_log_no_{event.lower()} BEFORE {event} ON audit_log "
                f"BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END"
            )
    else:
        op.execute(
            "CREATE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN RAISE EXCEPTION '{_REFUSAL}'; END $$"
        )
        op.execute(
            "CREATE TRIGGER audit_log_append_only BEFORE UPDATE OR DELETE OR TRUNCATE "
            "ON audit_log FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change()"
        )


def downgrade() -> None:
    raise NotImplementedError("the history of attributes and the audit log would be lost")

"""Teams, projects, their owners, and encrypted keys."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "teams",
        sa.Column("team_id", sa.String(63), nullable=False),
        sa.Column("team_name", sa.String(), nullable=False),
        sa.Column("parent_team_id", sa.String(63)),
        sa.Column("owner_email", sa.String()),
        sa.Column("budget_owner_email", sa.String()),
        sa.Column("cost_center", sa.String()),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deactivated_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("team_id", name="pk_teams"),
        sa.CheckConstraint(
            "team_id <> '' AND team_id <> 'unallocated'", name=op.f("ck_teams_team_id_is_usable")
        ),
        sa.CheckConstraint(
            "parent_team_id <> team_id", name=op.f("ck_teams_parent_is_another_team")
        ),
        sa.CheckConstraint(
            "is_active = (deactivated_at IS NULL)", name=op.f("ck_teams_deactivation_has_a_time")
        ),
        sa.ForeignKeyConstraint(
            ["parent_team_id"], ["teams.team_id"], name="fk_teams_parent_team_id"
        ),
    )
    op.create_table(
        "projects",
        sa.Column("project_id", sa.String(63), nullable=False),
        sa.Column("project_name", sa.String(), nullable=False),
        sa.Column("openai_project_id", sa.String(), nullable=False),
        sa.Column("environment", sa.String()),
        sa.Column("owner_email", sa.String()),
        sa.Column("cost_center", sa.String()),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("project_id", name="pk_projects"),
        sa.CheckConstraint(
            "project_id <> '' AND project_id <> 'unallocated'",
            name=op.f("ck_projects_project_id_is_usable"),
        ),
        sa.CheckConstraint(
            "openai_project_id <> ''", name=op.f("ck_projects_openai_project_id_is_usable")
        ),
        sa.UniqueConstraint("openai_project_id", name="uq_projects_openai_project_id"),
    )
    op.create_table(
        "project_ownership",
        sa.Column("ownership_id", sa.Integer(), nullable=False),
        sa.Column("project_id", sa.String(63), nullable=False),
        sa.Column("team_id", sa.String(63), nullable=False),
        sa.Column("valid_from", sa.Date()),
        sa.Column("valid_to", sa.Date()),
        sa.PrimaryKeyConstraint("ownership_id", name="pk_project_ownership"),
        sa.CheckConstraint(
            "valid_from < valid_to", name=op.f("ck_project_ownership_period_is_not_empty")
        ),
        sa.UniqueConstraint("project_id", "valid_from", name="uq_project_ownership_project_id"),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.project_id"], name="fk_project_ownership_project_id"
        ),
        sa.ForeignKeyConstraint(
            ["team_id"], ["teams.team_id"], name="fk_project_ownership_team_id"
        ),
    )
    op.create_index(
        "ux_project_ownership_open",
        "project_ownership",
        ["project_id"],
        unique=True,
        sqlite_where=sa.text("valid_to IS NULL"),
        postgresql_where=sa.text("valid_to IS NULL"),
    )
    op.create_table(
        "api_keys",
        sa.Column("key_id", sa.String(36), nullable=False),
        sa.Column("team_id", sa.String(63), nullable=False),
        sa.Column("key_type", sa.String(), nullable=False),
        sa.Column("project_id", sa.String(63)),
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("encrypted_key", sa.LargeBinary(), nullable=False),
        sa.Column("encrypted_data_key", sa.LargeBinary(), nullable=False),
        sa.Column("iv", sa.LargeBinary(), nullable=False),
        sa.Column("last4", sa.String(), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("api_host", sa.String(), nullable=False),
        sa.Column("organization_id", sa.String()),
        sa.Column("wrapped_by", sa.String(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deactivated_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("key_id", name="pk_api_keys"),
        sa.CheckConstraint(
            "key_type IN ('admin', 'project')", name=op.f("ck_api_keys_key_type_is_known")
        ),
        sa.CheckConstraint(
            "(key_type = 'project') = (project_id IS NOT NULL)",
            name=op.f("ck_api_keys_project_keys_have_a_project"),
        ),
        sa.CheckConstraint("provider = 'openai'", name=op.f("ck_api_keys_provider_is_known")),
        sa.CheckConstraint(
            "is_active = (deactivated_at IS NULL)",
            name=op.f("ck_api_keys_deactivation_has_a_time"),
        ),
        sa.ForeignKeyConstraint(["team_id"], ["teams.team_id"], name="fk_api_keys_team_id"),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.project_id"], name="fk_api_keys_project_id"
        ),
    )
    op.create_index(
        "ux_api_keys_active_admin",
        "api_keys",
        ["team_id"],
        unique=True,
        sqlite_where=sa.text("key_type = 'admin' AND is_active"),
        postgresql_where=sa.text("key_type = 'admin' AND is_active"),
    )


def downgrade() -> None:
    for table in ("api_keys", "project_ownership", "projects", "teams"):
        op.drop_table(table)

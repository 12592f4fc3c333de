"""The key of user pseudonyms, and which users were erased."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "pseudonym_keys",
        sa.Column("pseudonym_key_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("encrypted_key", sa.LargeBinary(), nullable=False),
        sa.Column("encrypted_data_key", sa.LargeBinary(), nullable=False),
        sa.Column("iv", sa.LargeBinary(), nullable=False),
        sa.Column("wrapped_by", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("pseudonym_key_id", name="pk_pseudonym_keys"),
        sa.CheckConstraint("pseudonym_key_id = 1", name=op.f("ck_pseudonym_keys_one_row")),
    )
    op.create_table(
        "erased_users",
        sa.Column("user_pseudonym", sa.String(), nullable=False),
        sa.Column("erased_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("user_pseudonym", name="pk_erased_users"),
    )


def downgrade() -> None:
    raise NotImplementedError("without their key, no pseudonym would ever be the same again")

"""Runs the migrations on the connection, and in the transaction, that the registry hands over."""

from alembic import context

from finops_pipeline.registry.models import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,  # SQLite changes a table by copying it
)
with context.begin_transaction():
    context.run_migrations()

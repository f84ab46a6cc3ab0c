"""Runs migrations on the connection that `store/upgrade.py` hands in, inside its transaction."""

from alembic import context

from dbplanmon_pipeline.store.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()

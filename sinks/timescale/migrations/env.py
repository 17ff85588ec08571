"""Alembic's entry point: `sinks.timescale.migrate` hands over the connection and keeps the transaction."""

from alembic import context

from sinks.timescale.tables import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata)
context.run_migrations()

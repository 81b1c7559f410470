"""Runs migrations on the connection that `server.storage.migrate` hands over."""

from alembic import context

from server.storage.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()

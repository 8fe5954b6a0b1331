"""Alembic's environment: runs on the connection that `settlement.admin` gives, never makes one of its own."""

from alembic import context

import settlement.accounts.models
import settlement.transactions.models  # noqa: F401 - importing registers the tables
from settlement.database import metadata

connection = context.config.attributes["connection"]
# A transaction for each revision: one that failed leaves those before it in place, and a next run goes on there.
context.configure(connection=connection, target_metadata=metadata, transaction_per_migration=True)
with context.begin_transaction():
    context.run_migrations()

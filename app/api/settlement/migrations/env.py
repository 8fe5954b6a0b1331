"""Alembic's environment: runs on the connection that `settlement.admin.migrate` gives, never makes one of its own."""

from alembic import context

import settlement.accounts.models
import settlement.transactions.models  # noqa: F401 - importing registers the tables
from settlement.database import metadata

attributes = context.config.attributes
# A transaction for each revision: one that failed leaves those before it in place, and a next run goes on there. It is
# also what lets a revision leave its transaction, with autocommit_block().
context.configure(
    connection=attributes["connection"],
    target_metadata=metadata,
    transaction_per_migration=True,
    on_version_apply=attributes["on_version_apply"],
)
with context.begin_transaction():
    context.run_migrations()

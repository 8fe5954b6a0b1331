"""Alembic's environment. It uses the connection of `settlement.admin.migrate` and never opens its own."""

from alembic import context

import settlement.accounts.models
import settlement.transactions.models  # noqa: F401 - importing registers the tables
from fargate_app.database import metadata

attributes = context.config.attributes
# One transaction for each revision: if one fails, those before it stay, and the next run continues there.
# autocommit_block() in a revision needs this as well.
context.configure(
    connection=attributes["connection"],
    target_metadata=metadata,
    transaction_per_migration=True,
    on_version_apply=attributes["on_version_apply"],
)
with context.begin_transaction():
    context.run_migrations()

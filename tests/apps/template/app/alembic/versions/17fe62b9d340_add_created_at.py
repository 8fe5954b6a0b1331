"""Add created_at to user and item

Revision ID: 17fe62b9d340
Revises: 9c3d51f0ab26
"""

import sqlalchemy as sa
from alembic import op

revision = "17fe62b9d340"
down_revision = "9c3d51f0ab26"
branch_labels = None
depends_on = None


def upgrade():
    for table in ("user", "item"):
        op.add_column(
            table,
            sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        )


def downgrade():
    for table in ("item", "user"):
        op.drop_column(table, "created_at")

"""Limit the lengths of texts, and delete a user's items with the user

Revision ID: 9c3d51f0ab26
Revises: e81b04c2d7fa
"""

import sqlmodel.sql.sqltypes
from alembic import op

revision = "9c3d51f0ab26"
down_revision = "e81b04c2d7fa"
branch_labels = None
depends_on = None


def upgrade():
    op.alter_column("user", "full_name", type_=sqlmodel.sql.sqltypes.AutoString(length=255))
    op.alter_column("item", "description", type_=sqlmodel.sql.sqltypes.AutoString(length=255))
    op.drop_constraint("item_owner_id_fkey", "item", type_="foreignkey")
    op.create_foreign_key(None, "item", "user", ["owner_id"], ["id"], ondelete="CASCADE")


def downgrade():
    op.drop_constraint("item_owner_id_fkey", "item", type_="foreignkey")
    op.create_foreign_key("item_owner_id_fkey", "item", "user", ["owner_id"], ["id"])
    op.alter_column("item", "description", type_=sqlmodel.sql.sqltypes.AutoString())
    op.alter_column("user", "full_name", type_=sqlmodel.sql.sqltypes.AutoString())

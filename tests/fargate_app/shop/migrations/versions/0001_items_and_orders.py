"""Items and their orders."""

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.execute(
        "CREATE TABLE items (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), name text NOT NULL,"
        " price int CHECK (price >= 0), created_at timestamptz NOT NULL DEFAULT now())"
    )
    op.execute(
        "CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, item_id uuid REFERENCES items,"
        " created_at timestamptz NOT NULL DEFAULT now())"
    )

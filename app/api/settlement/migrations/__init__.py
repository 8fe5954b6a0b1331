"""Alembic migrations, numbered in one line (see settlement/schema.py)."""

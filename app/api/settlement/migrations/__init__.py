"""Alembic migrations, numbered in one line (see src/fargate_app/README.md)."""

"""For `alembic` on a developer's machine. The platform's `prepare` connects by itself."""

from alembic import context
from app.core.config import settings
from app.models import SQLModel
from sqlalchemy import create_engine

with create_engine(settings.SQLALCHEMY_DATABASE_URI).connect() as connection:
    context.configure(connection=connection, target_metadata=SQLModel.metadata, compare_type=True)
    with context.begin_transaction():
        context.run_migrations()

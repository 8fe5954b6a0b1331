"""The admin command of the platform: `python -m app.admin prepare`."""

import sys
from pathlib import Path

from app.models import SQLModel
from fargate_app.service import Service

service = Service(
    "items",
    migrations=Path(__file__).parent / "alembic",
    metadata=SQLModel.metadata,
    grants={"user": ("SELECT", "INSERT"), "item": ("SELECT", "INSERT", "UPDATE", "DELETE")},
)

if __name__ == "__main__":
    sys.exit(service.admin())

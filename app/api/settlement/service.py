"""What this application is for the platform."""

from pathlib import Path

from fargate_app.service import Service
from settlement.metadata import metadata
from settlement.settings import Settings

service = Service(
    "settlement",
    settings=Settings,
    migrations=Path(__file__).parent / "migrations",
    metadata=metadata,
    # There is no UPDATE or DELETE: posted rows never change.
    grants={"accounts": ("SELECT", "INSERT"), "transactions": ("SELECT", "INSERT")},
    autocommit=True,  # every operation is one statement, which is atomic by itself
)

"""What endpoints ask a request for: what the lifespan made.

Plain functions, not FastAPI's `Depends`: resolving one dependency costs a fifth of what FastAPI does for a request.
"""

from fastapi import Request

from settlement.database import Database
from settlement.health.service import Health
from settlement.settings import Settings


def database_of(request: Request) -> Database:
    """The process's database."""
    database: Database = request.app.state.database
    return database


def health_of(request: Request) -> Health:
    """The process's health."""
    health: Health = request.app.state.health
    return health


def settings_of(request: Request) -> Settings:
    """The process's settings."""
    settings: Settings = request.app.state.settings
    return settings

"""Objects that the lifespan created, as endpoints get them from a request.

These are plain functions, not FastAPI's `Depends`: resolving one dependency takes a fifth of the time that FastAPI
spends on a request.
"""

from fastapi import Request

from fargate_app.database import Database
from fargate_app.health.service import Health
from fargate_app.settings import Settings


def database_of(request: Request) -> Database:
    """Return the process's database."""
    database: Database = request.app.state.database
    return database


def health_of(request: Request) -> Health:
    """Return the process's health."""
    health: Health = request.app.state.health
    return health


def settings_of(request: Request) -> Settings:
    """Return the process's settings."""
    settings: Settings = request.app.state.settings
    return settings

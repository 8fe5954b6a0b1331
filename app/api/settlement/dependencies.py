"""What endpoints may ask for.

The functions are coroutines although they wait for nothing: FastAPI sends a plain function to a thread.
"""

from typing import Annotated

from fastapi import Depends, Request

from settlement.database import Database
from settlement.health.service import Health
from settlement.settings import Settings


async def _database(request: Request) -> Database:
    database: Database = request.app.state.database
    return database


async def _health(request: Request) -> Health:
    health: Health = request.app.state.health
    return health


async def _settings(request: Request) -> Settings:
    settings: Settings = request.app.state.settings
    return settings


DatabaseDependency = Annotated[Database, Depends(_database)]
HealthDependency = Annotated[Health, Depends(_health)]
SettingsDependency = Annotated[Settings, Depends(_settings)]

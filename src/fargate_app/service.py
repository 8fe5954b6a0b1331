"""What a FastAPI application needs to run on this platform, in a few lines:

    service = Service("shop", metadata=metadata, migrations=Path(__file__).parent / "migrations")
    app = FastAPI(lifespan=service.lifespan)
    service.install(app)

and `sys.exit(service.admin())` in the module that is the admin command. Importing this module imports neither FastAPI
nor SQLAlchemy: the admin command needs only the one, a service without a database only the other.
"""

import os
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from fargate_app.migrations import Migrations
from fargate_app.settings import DatabaseSettings, Settings, named

if TYPE_CHECKING:
    from fastapi import FastAPI
    from sqlalchemy import MetaData


class Service:
    """A service of this platform."""

    def __init__(
        self,
        name: str | None = None,
        *,
        settings: type[Settings] | None = None,
        migrations: Path | None = None,
        metadata: "MetaData | None" = None,
        grants: Mapping[str, Sequence[str]] | None = None,
        autocommit: bool = False,
        max_body_bytes: int = 64 * 1024,
    ) -> None:
        """Describe the service. This opens no connection and reads no setting.

        `name`: its name where APP_NAME is not set.
        `settings`: a subclass with settings of its own. One of DatabaseSettings means that it has a database, as do
        migrations, metadata and, where `settings` is not given, a DATABASE_HOST.
        `migrations`: the folder of its Alembic migrations, which contains `versions`.
        `metadata`: its tables, whose naming convention the migrations use.
        `grants`: the permissions of its database users on each table. By default they may read and write every table.
        `autocommit`: whether each statement is committed by itself (`fargate_app.database.Database`).
        `max_body_bytes`: a larger request gets 413; without a limit one request could take the task's memory.
        """
        self._has_database = migrations is not None or metadata is not None
        if self._has_database and not issubclass(settings or DatabaseSettings, DatabaseSettings):
            raise TypeError("an application with migrations or metadata needs settings of a database: DatabaseSettings")
        self.name = name
        self.migrations = None if migrations is None else Migrations(migrations, metadata)
        self.grants = grants
        self.autocommit = autocommit
        self.max_body_bytes = max_body_bytes
        self.settings = settings

    def read_settings(self) -> Settings:
        """Read the settings from the environment. Raises ValidationError."""
        has_database = self._has_database or bool(os.environ.get("DATABASE_HOST"))
        return (self.settings or (DatabaseSettings if has_database else Settings))()

    def install(self, app: "FastAPI", settings: Settings | None = None) -> None:
        """Add routes, middleware and problem documents to `app`. It opens no connection and starts no thread.

        `settings`: by default those of the environment. Routes that `app` has already are searched before these.
        """
        from fargate_app.health.router import router
        from fargate_app.middleware import BodyLimitMiddleware, RequestContextMiddleware
        from fargate_app.problems import install_problem_handlers

        settings = named(settings or self.read_settings(), self.name)
        app.state.settings = settings
        # The routes themselves: FastAPI would search an included router twice for each request.
        app.router.routes.extend(router.routes)
        app.add_middleware(BodyLimitMiddleware, limit_bytes=self.max_body_bytes)
        checks: list[Callable[[], None]] = []
        if settings.auth_jwks_url:
            from fargate_app.authentication import AuthenticationMiddleware, KeySet, Verifier

            keys = KeySet(settings.auth_jwks_url)
            # The settings contain all three or none.
            verifier = Verifier(keys, issuer=settings.auth_issuer or "", audience=settings.auth_audience or "")
            checks.append(keys.check)
            app.add_middleware(AuthenticationMiddleware, verifier=verifier)
        app.state.checks = checks
        app.add_middleware(RequestContextMiddleware)
        has_database = isinstance(settings, DatabaseSettings)
        install_problem_handlers(app, database=has_database)
        if has_database:
            import fargate_app.health.database  # noqa: F401 - before the workers are forked, which share it

    @asynccontextmanager
    async def lifespan(self, app: "FastAPI") -> AsyncGenerator[None]:
        """Open the connection pool while `app`, in which this service is installed, runs."""
        from starlette.concurrency import run_in_threadpool

        from fargate_app.health.schemas import ReadinessOut, VersionOut
        from fargate_app.health.service import Health, task_definition_revision

        settings: Settings = app.state.settings
        schema = self.migrations.schema if self.migrations else None
        app.state.version = VersionOut(
            git_hash=settings.git_hash,
            image_digest=settings.image_digest,
            task_definition_revision=await run_in_threadpool(
                task_definition_revision, settings.ecs_container_metadata_uri_v4
            ),
            schema_head=schema.head if schema else None,
        )
        if not isinstance(settings, DatabaseSettings):
            app.state.health = Health(app.state.checks)
            app.state.readiness = ReadinessOut
            yield
            return

        from fargate_app.database import Database
        from fargate_app.health.database import check_database, readiness

        database = Database(settings, autocommit=self.autocommit)
        app.state.database = database
        app.state.health = Health([*app.state.checks, partial(check_database, database)])
        app.state.readiness = partial(readiness, database, schema)
        try:
            yield
        finally:
            database.close()

    def admin(self, arguments: Sequence[str] | None = None) -> int:
        """Run a command of the admin task, by default the process's arguments. Returns the exit code."""
        from fargate_app.admin.cli import Subject, main

        return main(Subject(self.name, self.migrations, self.grants), arguments)

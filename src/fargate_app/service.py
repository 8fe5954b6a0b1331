"""What a FastAPI application needs to run on this platform, in a few lines:

    service = Service("shop", metadata=metadata, migrations=Path(__file__).parent / "migrations")
    app = FastAPI(lifespan=service.lifespan)
    service.install(app)

and `sys.exit(service.admin())` in the module that is the admin command. Importing this module imports neither FastAPI
nor SQLAlchemy: the admin command needs only the one, a service without a database only the other.
"""

import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fargate_app.migrations import Migrations
from fargate_app.settings import DatabaseSettings, EngineSettings, Settings, named

if TYPE_CHECKING:
    from fastapi import FastAPI
    from sqlalchemy import Engine, MetaData
    from sqlalchemy.ext.asyncio import AsyncEngine

    from fargate_app.async_database import AsyncDatabase
    from fargate_app.database import Database


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
        asynchronous: bool = False,
        max_body_bytes: int = 64 * 1024,
    ) -> None:
        """Describe the service. This opens no connection and reads no setting.

        `name`: its name where APP_NAME is not set.
        `settings`: a subclass with settings of its own. One of EngineSettings, such as DatabaseSettings, means that it
        has a database, as do migrations, metadata and, where `settings` is not given, a DATABASE_HOST.
        `migrations`: the folder of its Alembic migrations, which contains `versions`.
        `metadata`: its tables, whose naming convention the migrations use.
        `grants`: the permissions of its database users on each table. By default they may read and write every table.
        `autocommit`: whether each statement is committed by itself (`fargate_app.database.Database`).
        `asynchronous`: whether the database is a `fargate_app.async_database.AsyncDatabase`.
        `max_body_bytes`: a larger request gets 413; without a limit one request could take the task's memory.
        """
        self._has_database = migrations is not None or metadata is not None
        if self._has_database and not issubclass(settings or DatabaseSettings, EngineSettings):
            raise TypeError(
                "an application with migrations or metadata needs settings of a database: DatabaseSettings, or "
                "EngineSettings if it creates its engine"
            )
        self.name = name
        self.migrations = None if migrations is None else Migrations(migrations, metadata)
        self.grants = grants
        self.autocommit = autocommit
        self.asynchronous = asynchronous
        self.max_body_bytes = max_body_bytes
        self.settings = settings

    def read_settings(self) -> Settings:
        """Read the settings from the environment. Raises ValidationError."""
        has_database = self._has_database or bool(os.environ.get("DATABASE_HOST"))
        return (self.settings or (DatabaseSettings if has_database else Settings))()

    def install(
        self, app: "FastAPI", settings: Settings | None = None, *, engine: "Engine | AsyncEngine | None" = None
    ) -> None:
        """Add routes, middleware and documented problems to `app`. It opens no connection and starts no thread.

        `settings`: by default those of the environment. Routes that `app` has already are searched before these.
        `engine`: the application's own, of either kind. Then the library opens no pool, and by default the settings are
        EngineSettings. Raises TypeError for arguments that contradict an engine.
        """
        from starlette.concurrency import run_in_threadpool

        from fargate_app.health.router import router
        from fargate_app.middleware import BodyLimitMiddleware, RequestContextMiddleware
        from fargate_app.openapi import install_openapi
        from fargate_app.problems import install_problem_handlers

        if settings is None:
            settings = self.read_settings() if self.settings or engine is None else EngineSettings()
        if engine is not None and self.autocommit:
            raise TypeError(
                "autocommit is for the library's engine. Next: create yours with isolation_level='AUTOCOMMIT'"
            )
        if engine is not None and not isinstance(settings, EngineSettings):
            raise TypeError("an application with an engine needs settings of it: EngineSettings or a subclass")
        settings = named(settings, self.name)
        app.state.settings = settings
        app.state.engine = engine
        # The routes themselves: FastAPI would search an included router twice for each request (47 instead of 40 µs).
        app.router.routes.extend(router.routes)
        app.add_middleware(BodyLimitMiddleware, limit_bytes=self.max_body_bytes)
        checks: list[Callable[[], Awaitable[None]]] = []
        if settings.auth_jwks_url:
            from fargate_app.authentication import AuthenticationMiddleware, KeySet, Verifier

            keys = KeySet(settings.auth_jwks_url)
            # The settings contain all three or none.
            verifier = Verifier(keys, issuer=settings.auth_issuer or "", audience=settings.auth_audience or "")
            checks.append(partial(run_in_threadpool, keys.check))
            app.add_middleware(AuthenticationMiddleware, verifier=verifier)
        app.state.checks = checks
        app.add_middleware(RequestContextMiddleware)
        has_database = isinstance(settings, EngineSettings)
        install_problem_handlers(app, database=has_database)
        install_openapi(app, database=has_database, authenticated=bool(settings.auth_jwks_url))
        if has_database:  # imported before the workers are forked, which share it
            from fargate_app.driver import choose

            asynchronous = self._is_asynchronous(engine)
            import_module("fargate_app.health.database")
            import_module("fargate_app.async_database" if asynchronous else "fargate_app.database")
            if isinstance(settings, DatabaseSettings) and engine is None:
                import_module(choose(settings.database_driver, asynchronous=asynchronous))

    @asynccontextmanager
    async def lifespan(self, app: "FastAPI") -> AsyncGenerator[None]:
        """Open the connection pool while `app`, in which this service is installed, runs."""
        from starlette.concurrency import run_in_threadpool

        from fargate_app.health.schemas import VersionOut
        from fargate_app.health.service import Health, Shared, always_ready, task_definition_revision
        from fargate_app.problems import Unavailable

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
        app.state.health = Health(app.state.checks)
        app.state.readiness = always_ready
        async with AsyncExitStack() as stack:
            if isinstance(settings, EngineSettings):
                from fargate_app.health.database import check_database, readiness

                database = self._open(settings, app.state.engine, stack)
                app.state.database = database
                app.state.health = Health([*app.state.checks, partial(check_database, database)])
                app.state.readiness = Shared(partial(readiness, database, schema))
            # Now, while connections are free. Another worker may get all health checks until they are in use.
            with suppress(Unavailable):
                await app.state.health.check()
            yield

    def _is_asynchronous(self, engine: "Engine | AsyncEngine | None") -> bool:
        return self.asynchronous if engine is None else hasattr(engine, "sync_engine")

    def _open(self, settings: EngineSettings, engine: Any, stack: AsyncExitStack) -> "Database | AsyncDatabase":
        if self._is_asynchronous(engine):
            from fargate_app.async_database import AsyncDatabase

            asynchronous = AsyncDatabase(settings, engine, autocommit=self.autocommit)
            stack.push_async_callback(asynchronous.close)
            return asynchronous
        from fargate_app.database import Database

        database = Database(settings, engine, autocommit=self.autocommit)
        stack.callback(database.close)
        return database

    def admin(self, arguments: Sequence[str] | None = None) -> int:
        """Run a command of the admin task, by default the process's arguments. Returns the exit code."""
        from fargate_app.admin.cli import Subject, main

        return main(Subject(self.name, self.migrations, self.grants), arguments)

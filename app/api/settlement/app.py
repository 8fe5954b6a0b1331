"""The application."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool

import fargate_app.health.router
import settlement.accounts.router
import settlement.statements.router
import settlement.transactions.router
from fargate_app.authentication import AuthenticationMiddleware, verifier_of
from fargate_app.database import Database
from fargate_app.health.schemas import VersionOut
from fargate_app.health.service import Health, task_definition_revision
from fargate_app.middleware import BodyLimitMiddleware, RequestContextMiddleware
from fargate_app.problems import install_problem_handlers
from fargate_app.schema import schema
from fargate_app.settings import Settings

_MAX_BODY_BYTES = 64 * 1024  # a transaction is below 3 kB; without a limit one request could take the task's memory


def create_app(settings: Settings) -> FastAPI:
    """Build the application. It opens no connection and starts no thread before its lifespan."""

    verifier = verifier_of(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        database = Database(settings)
        app.state.settings = settings
        app.state.database = database
        app.state.health = Health(database, verifier.keys if verifier else None)
        app.state.version = VersionOut(
            git_hash=settings.git_hash,
            image_digest=settings.image_digest,
            task_definition_revision=await run_in_threadpool(
                task_definition_revision, settings.ecs_container_metadata_uri_v4
            ),
            schema_head=schema().head,
        )
        try:
            yield
        finally:
            database.close()

    app = FastAPI(
        title="Settlement",
        version=settings.git_hash,
        lifespan=lifespan,
        docs_url=None,  # both pages load scripts from a public CDN; the document itself is /openapi.json
        redoc_url=None,
        # A redirect would send an https client to http, the scheme that the load balancer uses.
        redirect_slashes=False,
        # Nothing exports telemetry. By default each request would look for providers in the environment.
        telemetry={"tracing": False, "metrics": False, "logs": False},
        # The routes themselves: FastAPI would search an included router twice for each request.
        routes=[
            route
            for feature in (settlement.accounts, settlement.transactions, settlement.statements, fargate_app.health)
            for route in feature.router.router.routes
        ],
    )
    app.add_middleware(BodyLimitMiddleware, limit_bytes=_MAX_BODY_BYTES)
    if verifier:
        app.add_middleware(AuthenticationMiddleware, verifier=verifier)
    app.add_middleware(RequestContextMiddleware)
    install_problem_handlers(app)
    return app


def from_environment() -> FastAPI:
    """Build the application from the environment's settings. gunicorn calls this."""
    return create_app(Settings())

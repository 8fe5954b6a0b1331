"""HTTP for health, readiness and version."""

from http import HTTPStatus

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute

from fargate_app.health.schemas import HealthOut, ReadinessOut, VersionOut
from fargate_app.health.service import Health
from fargate_app.problems import problem_responses
from fargate_app.responses import json_response

router = APIRouter(tags=["health"])
_UNAVAILABLE = problem_responses(HTTPStatus.SERVICE_UNAVAILABLE)


@router.get("/healthz", response_model=HealthOut, responses=_UNAVAILABLE)
async def healthz(request: Request) -> Response:
    """Return 200 if this process is healthy. Once it is, this needs no thread and no connection."""
    health: Health = request.app.state.health
    if not health.is_healthy:
        await health.check()
    return json_response(HealthOut())


@router.get("/readyz", response_model=ReadinessOut, responses=_UNAVAILABLE)
async def readyz(request: Request) -> Response:
    """Return 200 if the database is available now and its schema is at this image's head or later."""
    ready: ReadinessOut = await request.app.state.readiness()
    return json_response(ready)


@router.get("/version", response_model=VersionOut)
async def version(request: Request) -> Response:
    """Return the commit, image, task definition revision and schema of this process."""
    running: VersionOut = request.app.state.version
    return json_response(running)


#: The load balancer and the release call these without a token.
PATHS = frozenset(route.path for route in router.routes if isinstance(route, APIRoute))

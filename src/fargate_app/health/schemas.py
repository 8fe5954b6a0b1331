"""Responses of the health endpoints."""

from typing import Literal

from pydantic import BaseModel


class HealthOut(BaseModel):
    """The process is healthy."""

    status: Literal["healthy"] = "healthy"


class ReadinessOut(BaseModel):
    """The service is ready."""

    status: Literal["ready"] = "ready"
    schema_revision: str


class VersionOut(BaseModel):
    """The running version."""

    git_hash: str
    image_digest: str | None
    task_definition_revision: int | None
    schema_head: str

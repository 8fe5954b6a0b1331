"""Responses of the health endpoints."""

from typing import Literal

from pydantic import BaseModel


class HealthOut(BaseModel):
    """The process is healthy."""

    status: Literal["healthy"] = "healthy"


class ReadinessOut(BaseModel):
    """The service is ready. `schema_revision` is the database's; none without migrations."""

    status: Literal["ready"] = "ready"
    schema_revision: str | None = None


class VersionOut(BaseModel):
    """The running version. `schema_head` is the newest revision of the image; none without migrations."""

    git_hash: str
    image_digest: str | None
    task_definition_revision: int | None
    schema_head: str | None

"""What the health endpoints give."""

from typing import Literal

from pydantic import BaseModel


class HealthOut(BaseModel):
    """The process is healthy."""

    status: Literal["healthy"] = "healthy"


class ReadinessOut(BaseModel):
    """The service can do its work."""

    status: Literal["ready"] = "ready"
    schema_revision: str


class VersionOut(BaseModel):
    """What is running."""

    git_hash: str
    image_digest: str | None
    task_definition_revision: int | None
    schema_head: str

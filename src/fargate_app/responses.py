"""Successful responses."""

from collections.abc import Mapping
from http import HTTPStatus

from fastapi import Response
from pydantic import BaseModel


def json_response(
    model: BaseModel, status: HTTPStatus = HTTPStatus.OK, headers: Mapping[str, str] | None = None
) -> Response:
    """Serialise a model.

    If an endpoint returned the model itself, FastAPI would validate it a second time, which adds a seventh to the CPU
    time that it spends on a request (46 instead of 40 µs).
    """
    return Response(model.model_dump_json(), status, headers, media_type="application/json")

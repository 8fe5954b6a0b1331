"""HTTP for accounts."""

from http import HTTPStatus
from uuid import UUID

from fastapi import APIRouter, Request, Response

from fargate_app.dependencies import database_of
from fargate_app.problems import problem_responses
from fargate_app.responses import json_response
from settlement.accounts import service
from settlement.accounts.schemas import AccountIn, AccountOut

router = APIRouter(prefix="/v1/accounts", tags=["accounts"])


@router.post(
    "",
    status_code=HTTPStatus.CREATED,
    response_model=AccountOut,
    responses={
        HTTPStatus.CREATED: {
            "headers": {"Location": {"required": True, "schema": {"type": "string", "format": "uri-reference"}}}
        }
    },
)
async def create_account(account: AccountIn, request: Request) -> Response:
    """Open an account in one currency."""
    created = await database_of(request).run(service.create_account, account)
    return json_response(created, HTTPStatus.CREATED, {"Location": f"/v1/accounts/{created.id}"})


@router.get("/{account_id}", response_model=AccountOut, responses=problem_responses(HTTPStatus.NOT_FOUND))
async def get_account(account_id: UUID, request: Request) -> Response:
    """Read an account."""
    return json_response(await database_of(request).run(service.get_account, account_id))

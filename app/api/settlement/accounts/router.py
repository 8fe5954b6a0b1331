"""HTTP for accounts."""

from http import HTTPStatus
from uuid import UUID

from fastapi import APIRouter, Response

from settlement.accounts import service
from settlement.accounts.schemas import AccountIn, AccountOut
from settlement.dependencies import DatabaseDependency
from settlement.responses import json_response

router = APIRouter(prefix="/v1/accounts", tags=["accounts"])


@router.post("", status_code=HTTPStatus.CREATED, response_model=AccountOut)
def create_account(account: AccountIn, database: DatabaseDependency) -> Response:
    """Open an account in one currency."""
    with database.connect() as connection:
        created = service.create_account(connection, account)
    return json_response(created, HTTPStatus.CREATED, {"Location": f"/v1/accounts/{created.id}"})


@router.get("/{account_id}", response_model=AccountOut)
def get_account(account_id: UUID, database: DatabaseDependency) -> Response:
    """Read an account."""
    with database.connect() as connection:
        return json_response(service.get_account(connection, account_id))

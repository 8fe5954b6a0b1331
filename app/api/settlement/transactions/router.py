"""HTTP for transactions."""

from http import HTTPStatus
from uuid import UUID

from fastapi import APIRouter, Response

from settlement.dependencies import DatabaseDependency
from settlement.pagination import CursorParameter, Limit
from settlement.responses import json_response
from settlement.transactions import service
from settlement.transactions.schemas import IdempotencyKey, TransactionIn, TransactionOut, TransactionPage

router = APIRouter(prefix="/v1", tags=["transactions"])


@router.post("/transactions", status_code=HTTPStatus.CREATED, response_model=TransactionOut)
def post_transaction(transaction: TransactionIn, key: IdempotencyKey, database: DatabaseDependency) -> Response:
    """Post a transaction, once for each Idempotency-Key.

    A retry with the same key and body gets the same answer, with `Idempotency-Replayed: true`.
    """
    with database.connect() as connection:
        posted, is_new = service.post_transaction(connection, key, transaction)
    return json_response(posted, HTTPStatus.CREATED, None if is_new else {"Idempotency-Replayed": "true"})


@router.get("/accounts/{account_id}/transactions", response_model=TransactionPage)
def list_transactions(
    account_id: UUID, database: DatabaseDependency, limit: Limit = 50, cursor: CursorParameter = None
) -> Response:
    """Read an account's transactions, newest first, page by page."""
    with database.connect() as connection:
        return json_response(service.list_transactions(connection, account_id, limit, cursor))

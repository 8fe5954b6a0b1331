"""HTTP for transactions."""

from http import HTTPStatus
from uuid import UUID

from fastapi import APIRouter, Request, Response

from fargate_app.dependencies import database_of
from fargate_app.problems import problem_responses
from fargate_app.responses import json_response
from settlement.pagination import CursorParameter, Limit
from settlement.transactions import service
from settlement.transactions.schemas import IdempotencyKey, TransactionIn, TransactionOut, TransactionPage

router = APIRouter(prefix="/v1", tags=["transactions"])


@router.post(
    "/transactions",
    status_code=HTTPStatus.CREATED,
    response_model=TransactionOut,
    responses=problem_responses(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT)
    | {
        HTTPStatus.CREATED: {
            "headers": {
                "Idempotency-Replayed": {
                    "description": "Sent if an earlier request posted the transaction.",
                    "schema": {"type": "string", "enum": ["true"]},
                }
            }
        }
    },
)
async def post_transaction(transaction: TransactionIn, key: IdempotencyKey, request: Request) -> Response:
    """Post a transaction, once for each Idempotency-Key.

    A retry with the same key and body gets the same response, with `Idempotency-Replayed: true`.
    """
    posted, is_new = await database_of(request).run(service.post_transaction, key, transaction)
    return json_response(posted, HTTPStatus.CREATED, None if is_new else {"Idempotency-Replayed": "true"})


@router.get(
    "/accounts/{account_id}/transactions",
    response_model=TransactionPage,
    responses=problem_responses(HTTPStatus.NOT_FOUND),
)
async def list_transactions(
    account_id: UUID, request: Request, limit: Limit = 50, cursor: CursorParameter = None
) -> Response:
    """Read an account's transactions, newest first, page by page."""
    return json_response(await database_of(request).run(service.list_transactions, account_id, limit, cursor))

"""HTTP for statements."""

from fastapi import APIRouter, Request, Response

from fargate_app.dependencies import database_of
from fargate_app.responses import json_response
from settlement.pagination import CursorParameter, Limit
from settlement.settings import Settings
from settlement.statements import service
from settlement.statements.schemas import Month, StatementPage

router = APIRouter(prefix="/v1/statements", tags=["statements"])


@router.get("/{month}", response_model=StatementPage)
async def monthly_statements(
    month: Month,
    request: Request,
    limit: Limit = 50,
    cursor: CursorParameter = None,
) -> Response:
    """Read each account's statement of a month, page by page."""
    settings: Settings = request.app.state.settings
    zone = settings.settlement_timezone
    return json_response(await database_of(request).run(service.monthly_statements, month, zone, limit, cursor))

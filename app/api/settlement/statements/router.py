"""HTTP for statements."""

from fastapi import APIRouter, Response

from settlement.dependencies import DatabaseDependency, SettingsDependency
from settlement.pagination import CursorParameter, Limit
from settlement.responses import json_response
from settlement.statements import service
from settlement.statements.schemas import Month, StatementPage

router = APIRouter(prefix="/v1/statements", tags=["statements"])


@router.get("/{month}", response_model=StatementPage)
def monthly_statements(
    month: Month,
    database: DatabaseDependency,
    settings: SettingsDependency,
    limit: Limit = 50,
    cursor: CursorParameter = None,
) -> Response:
    """Read what each account closed a month with, page by page."""
    with database.connect() as connection:
        return json_response(service.monthly_statements(connection, month, settings.settlement_timezone, limit, cursor))

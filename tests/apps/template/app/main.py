import json

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from sqlalchemy.exc import SQLAlchemyError, TimeoutError

from app.api.main import api_router
from app.core.config import settings

app = FastAPI(title=settings.PROJECT_NAME, openapi_url=f"{settings.API_V1_STR}/openapi.json")
app.include_router(api_router, prefix=settings.API_V1_STR)


@app.exception_handler(SQLAlchemyError)
async def database_error(_: Request, error: SQLAlchemyError) -> JSONResponse:
    """Answer 503, and log the message that an incident counts."""
    full = isinstance(error, TimeoutError)
    message = "no free database connection" if full else "the database cannot be used"
    print(json.dumps({"message": message, "reason": str(error)}))
    return JSONResponse({"detail": message}, 503)

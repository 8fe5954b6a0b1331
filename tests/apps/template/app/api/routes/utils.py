from fastapi import APIRouter
from sqlmodel import select

from app.api.deps import SessionDep

router = APIRouter(prefix="/utils", tags=["utils"])


@router.get("/health-check/")
async def health_check() -> bool:
    return True


@router.get("/ready/")
def ready(session: SessionDep) -> bool:
    return session.exec(select(1)).one() == 1

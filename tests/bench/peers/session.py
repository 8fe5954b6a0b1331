"""The usual pattern: FastAPI and SQLAlchemy's ORM, one session per request from a generator dependency."""

import os
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import Depends, FastAPI, HTTPException
from pydantic import BaseModel, ConfigDict
from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column


class Base(DeclarativeBase):
    pass


class Account(Base):
    __tablename__ = "accounts"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    currency: Mapped[str]
    created_at: Mapped[datetime]


class AccountOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    name: str
    currency: str
    created_at: datetime


engine = create_engine(os.environ["PEER_URL"], pool_size=16)


def session() -> Iterator[Session]:
    with Session(engine) as opened:
        yield opened


app = FastAPI()


@app.get("/v1/accounts/{account_id}", response_model=AccountOut)
def account(account_id: UUID, session: Annotated[Session, Depends(session)]) -> Account:
    found = session.get(Account, account_id)
    if found is None:
        raise HTTPException(404)
    return found

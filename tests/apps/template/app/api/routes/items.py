import uuid

from fastapi import APIRouter, HTTPException
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, func, select

from app.api.deps import SessionDep
from app.models import Item, ItemCreate, ItemPublic, ItemsPublic

router = APIRouter(prefix="/items", tags=["items"])


@router.get("/", response_model=ItemsPublic)
def read_items(session: SessionDep, skip: int = 0, limit: int = 100) -> ItemsPublic:
    count = session.exec(select(func.count()).select_from(Item)).one()
    items = session.exec(select(Item).order_by(col(Item.created_at).desc()).offset(skip).limit(limit)).all()
    return ItemsPublic(data=[ItemPublic.model_validate(item) for item in items], count=count)


@router.post("/", response_model=ItemPublic, status_code=201)
def create_item(session: SessionDep, item_in: ItemCreate) -> Item:
    item = Item.model_validate(item_in)
    session.add(item)
    try:
        session.commit()
    except IntegrityError as error:
        raise HTTPException(404, "There is no such owner.") from error
    session.refresh(item)
    return item


@router.get("/{item_id}", response_model=ItemPublic)
def read_item(session: SessionDep, item_id: uuid.UUID) -> Item:
    item = session.get(Item, item_id)
    if item is None:
        raise HTTPException(404, "There is no such item.")
    return item

import uuid

from fastapi import APIRouter, HTTPException
from sqlalchemy.exc import IntegrityError

from app.api.deps import SessionDep
from app.models import User, UserCreate, UserPublic

router = APIRouter(prefix="/users", tags=["users"])


@router.post("/", response_model=UserPublic, status_code=201)
def create_user(session: SessionDep, user_in: UserCreate) -> User:
    user = User.model_validate(user_in)
    session.add(user)
    try:
        session.commit()
    except IntegrityError as error:
        raise HTTPException(409, "A user with this email exists.") from error
    session.refresh(user)
    return user


@router.get("/{user_id}", response_model=UserPublic)
def read_user(session: SessionDep, user_id: uuid.UUID) -> User:
    user = session.get(User, user_id)
    if user is None:
        raise HTTPException(404, "There is no such user.")
    return user

revision: str = "0001"
down_revision: str | None = None

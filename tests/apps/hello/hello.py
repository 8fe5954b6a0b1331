"""A FastAPI application without a database."""

import os

from fastapi import FastAPI

app = FastAPI()


@app.get("/healthz")
@app.get("/readyz")
def healthy() -> dict[str, str]:
    return {"status": "ok"}


@app.get("/")
@app.get("/version")
def version() -> dict[str, str]:
    return {"hello": "world", "git_hash": os.environ["GIT_HASH"]}

"""Small projects as people have them, by path and text."""

from __future__ import annotations

from collections.abc import Mapping

HASHED = "fastapi==0.165.0 \\\n    --hash=sha256:00\nuvicorn==0.54.0 --hash=sha256:01\n"
#: With the packages of the library and its extra for a database.
HASHED_WITH_LIBRARY = HASHED + "".join(
    f"{name}==1.0 --hash=sha256:02\n"
    for name in ("alembic", "botocore", "gunicorn", "httptools", "pydantic-settings", "sqlalchemy", "uvicorn-worker")
)

_DOCKERFILE = """\
ARG BASE_IMAGE
FROM ${BASE_IMAGE} AS built
COPY requirements.txt wheels/ ./
RUN python3 wheels/pip.whl/pip install --no-index --find-links wheels --requirement requirements.txt
RUN python3 wheels/pip.whl/pip install --no-index --no-deps wheels/fargate_app-*.whl
COPY rds-ca.pem /etc/ssl/rds/ca.pem
WORKDIR /srv
RUN python -m storefront.admin schema > storefront/schema.json
FROM ${BASE_IMAGE}
USER 10001:10001
VOLUME ["/tmp"]
EXPOSE 8000
CMD ["gunicorn", "--config", "python:fargate_app.gunicorn_conf", "storefront.app:from_environment()"]
ARG GIT_HASH=unknown
ENV GIT_HASH=${GIT_HASH}
"""

REFERENCE: Mapping[str, str] = {
    "pyproject.toml": '[project]\nname = "storefront"\ndependencies = ["gunicorn", "psycopg2-binary", "sqlalchemy"]\n',
    "requirements.txt": HASHED_WITH_LIBRARY,
    "requirements-build.txt": "pip==26.3 --hash=sha256:02\n",
    "Dockerfile": _DOCKERFILE,
    "load.json": "{}",
    "storefront/__init__.py": "",
    "storefront/service.py": "from fargate_app.service import Service\nservice = Service('storefront')\n",
    "storefront/admin.py": "import sys\nfrom storefront.service import service\nsys.exit(service.admin())\n",
    "storefront/app.py": (
        "from fastapi import FastAPI\n"
        "from storefront.service import service\n\n"
        "def create_app(settings: dict) -> FastAPI:\n    app = FastAPI(lifespan=service.lifespan)\n"
        "    service.install(app, settings)\n    return app\n\n"
        "def from_environment() -> FastAPI:\n    return create_app({})\n"
    ),
    "storefront/migrations/versions/0001_first.py": 'revision = "0001"\ndown_revision = None\n',
}
"""As app/api is: on the library, with migrations and an admin command."""

IN_SRC: Mapping[str, str] = {
    f"src/{path}" if path.startswith("storefront/") else path: text
    for path, text in REFERENCE.items()
    if path != "Dockerfile"
}
"""The same application in the layout with src, without a Dockerfile."""

SHARED = """\
---
# Settings that all environments share.

# -- application ------------------------------------------------------------

# First part of every name.
app_name: storefront
image_repository: "{{ app_name }}"

app_source_dir: "{{ project_dir }}/app/api" # the Dockerfile's folder
app_port: 8000
app_health_path: /healthz # answers 200
app_ready_path: /readyz
app_version_path: /version
app_admin_command: [python, -m, storefront.admin] # []: there is none
app_schema_file: srv/storefront/schema.json
app_locks: [requirements.txt, requirements-build.txt]

app_scheduled_scaling: true

# -- database ----------------------------------------------------------------

app_database: true
# A change makes a new database.
database_name: storefront
"""

TEMPLATE: Mapping[str, str] = {
    "README.md": "# Shop\n",
    "backend/Dockerfile": """\
FROM python:3.13
ENV PYTHONUNBUFFERED=1
WORKDIR /app/
COPY --from=ghcr.io/astral-sh/uv:0.9 /uv /uvx /bin/
RUN --mount=type=cache,target=/root/.cache/uv \\
    # with the lock
    uv sync --frozen --no-install-project
COPY . /app
CMD ["fastapi", "run", "--workers", "4", "app/main.py"]
""",
    "backend/pyproject.toml": """\
[project]
name = "app"
requires-python = ">=3.10,<4.0"
dependencies = ["fastapi[standard]<1.0.0,>=0.114.2", "sqlmodel", "alembic", "psycopg[binary]<4", "pydantic-settings"]
""",
    "backend/uv.lock": '[[package]]\nname = "fastapi"\nversion = "0.165.0"\n',
    "backend/alembic.ini": "[alembic]\nscript_location = app/alembic\n[loggers]\nkeys = root\n",
    "backend/app/__init__.py": "",
    "backend/app/alembic/versions/1a31ce608336_cascade.py": (
        "from alembic import op\nrevision = '1a31ce608336'\ndown_revision = 'd98dd8ec85a3'\n"
    ),
    "backend/app/alembic/versions/d98dd8ec85a3_ids.py": (
        "revision: str = 'd98dd8ec85a3'\ndown_revision = 'e2412789c190'\n"
    ),
    "backend/app/alembic/versions/e2412789c190_models.py": "revision = 'e2412789c190'\ndown_revision = None\n",
    "backend/app/core/config.py": """\
from pydantic import PostgresDsn, computed_field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_file="../.env", extra="ignore")
    API_V1_STR: str = "/api/v1"
    SECRET_KEY: str = "changethis"
    PROJECT_NAME: str
    SENTRY_DSN: str | None = None
    POSTGRES_SERVER: str
    POSTGRES_PORT: int = 5432
    POSTGRES_USER: str
    POSTGRES_PASSWORD: str = ""
    POSTGRES_DB: str = ""

    @computed_field
    @property
    def SQLALCHEMY_DATABASE_URI(self) -> PostgresDsn:
        return PostgresDsn.build(scheme="postgresql+psycopg", host=self.POSTGRES_SERVER)


settings = Settings()
""",
    "backend/app/core/db.py": (
        "from sqlmodel import create_engine\nfrom app.core.config import settings\n"
        "engine = create_engine(str(settings.SQLALCHEMY_DATABASE_URI))\n"
    ),
    "backend/app/api/main.py": (
        "from fastapi import APIRouter\nfrom app.api.routes import items, utils\n"
        "api_router = APIRouter()\napi_router.include_router(items.router)\napi_router.include_router(utils.router)\n"
    ),
    "backend/app/api/routes/__init__.py": "",
    "backend/app/api/routes/items.py": (
        "from fastapi import APIRouter\nrouter = APIRouter(prefix='/items')\n\n"
        "@router.get('/{id}/health')\ndef health_of_an_item(id: int) -> bool:\n    return True\n"
    ),
    "backend/app/api/routes/utils.py": (
        "from fastapi import APIRouter\nrouter = APIRouter(prefix='/utils', tags=['utils'])\n\n"
        "@router.post('/healthz/')\ndef posted() -> None: ...\n\n"
        "@router.get('/health-check/')\nasync def health_check() -> bool:\n    return True\n"
    ),
    "backend/app/main.py": """\
import sentry_sdk
from fastapi import FastAPI
from app.api.main import api_router
from app.core.config import settings

if settings.SENTRY_DSN:
    sentry_sdk.init(dsn=str(settings.SENTRY_DSN))

app = FastAPI(title=settings.PROJECT_NAME, openapi_url=f"{settings.API_V1_STR}/openapi.json")
app.include_router(api_router, prefix=settings.API_V1_STR)
""",
    "backend/tests/test_main.py": "from fastapi import FastAPI\napp = FastAPI()\n",
}
"""As the widely used full-stack template is: https://github.com/fastapi/full-stack-fastapi-template"""

SMALL: Mapping[str, str] = {
    "requirements.txt": "fastapi>=0.110\nuvicorn[standard]\n",
    "main.py": (
        "import fastapi\n\napp = fastapi.FastAPI()\n\n"
        "@app.get('/health')\ndef health():\n    return {}\n\n@app.get('/ready')\ndef ready():\n    return {}\n"
    ),
}
"""As a first application is: two files, no database, no Dockerfile."""

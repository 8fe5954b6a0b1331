"""The environment variables that an application reads."""

from __future__ import annotations

import pytest

from fargate_ops.adopt.variables import Variable, variables
from tests.unit.adopt.conftest import code

SETTINGS = """\
from typing import ClassVar
from pydantic import AliasChoices, Field
from pydantic_settings import BaseSettings as Base, SettingsConfigDict

class Common(Base):
    model_config = SettingsConfigDict(env_prefix="shop_")
    token: str
    level: str = "INFO"
    given: str = Field(..., min_length=1)
    made: list[str] = Field(default_factory=list)
    host: str = Field(validation_alias=AliasChoices("DATABASE_HOST", "PGHOST"))
    KNOWN: ClassVar[int]

class Special(Common):
    extra: int = Field(default=...)

class NoSettings:
    other: str
"""


def test_settings_of_pydantic() -> None:
    found = variables(code({"a.py": SETTINGS}))
    assert [(variable.name, variable.required) for variable in found] == [
        ("DATABASE_HOST", True),
        ("EXTRA", True),
        ("SHOP_GIVEN", True),
        ("SHOP_LEVEL", False),
        ("SHOP_MADE", False),
        ("SHOP_TOKEN", True),
    ]
    assert found[0] == Variable("DATABASE_HOST", "a.py:11", True, "host", ("PGHOST",))


def test_the_environment_itself() -> None:
    text = "import os\na = os.environ['A']\nb = os.environ.get('B')\nc = os.getenv('C', '1')\nos.environ['D'] = '1'\n"
    found = variables(code({"a.py": f"{text}e = os.environ[a]\n"}))
    assert [(variable.name, variable.required) for variable in found] == [
        ("A", True),
        ("B", False),
        ("C", False),
        ("D", False),
    ]


@pytest.mark.parametrize(
    ("name", "part", "is_url"),
    [
        ("POSTGRES_SERVER", "DATABASE_HOST", False),
        ("PGHOST", "DATABASE_HOST", False),
        ("DB_PORT", "DATABASE_PORT", False),
        ("POSTGRES_DB", "DATABASE_NAME", False),
        ("PGDATABASE", "DATABASE_NAME", False),
        ("DB_USERNAME", "DATABASE_USER", False),
        ("POSTGRES_PASSWORD", "DATABASE_PASSWORD", False),
        ("DATABASE_URL", "", True),
        ("ASYNC_DATABASE_URL", "", True),
        ("SQLALCHEMY_DATABASE_URI", "", True),
        ("POSTGRES_DSN", "", True),
        ("REDIS_URL", "", False),
        ("SENTRY_DSN", "", False),
        ("USER", "", False),
        ("SMTP_HOST", "", False),
    ],
)
def test_parts_of_a_databases_address(name: str, part: str, is_url: bool) -> None:
    variable = Variable(name, "a.py:1", True)
    assert (variable.part, variable.is_url) == (part, is_url)

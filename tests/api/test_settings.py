"""The service's own settings. Those of the library are tested with it."""

from typing import Any

import pytest
from pydantic import ValidationError
from settlement.settings import Settings

REQUIRED: dict[str, Any] = {
    "database_host": "db",
    "database_name": "settlement",
    "database_user": "app",
    "database_password": "hush-hush",
}


def test_months_begin_in_seoul() -> None:
    assert Settings(**REQUIRED).settlement_timezone == "Asia/Seoul"


@pytest.mark.parametrize("zone", ["Asia/Gangnam", "../../etc/passwd", "../hunter2", "/hunter2"])
def test_an_unknown_time_zone_is_refused_and_not_repeated(monkeypatch: pytest.MonkeyPatch, zone: str) -> None:
    monkeypatch.setenv("SETTLEMENT_TIMEZONE", zone)
    with pytest.raises(ValidationError, match="settlement_timezone") as error:
        Settings(**REQUIRED)
    assert zone not in str(error.value)
    assert "hush-hush" not in str(error.value)

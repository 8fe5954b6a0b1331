"""Settings: wrong ones stop a process from starting, without showing a password."""

import pytest
from pydantic import ValidationError

from fargate_app.settings import AdminSettings, DatabaseSettings

ENVIRONMENT = {
    "DATABASE_HOST": "db",
    "DATABASE_NAME": "shop",
    "DATABASE_USER": "app",
    "DATABASE_PASSWORD": "hush-hush",
}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings that the service requires."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


def test_the_defaults_are_the_safe_ones() -> None:
    settings = DatabaseSettings()
    assert settings.database_sslmode == "verify-full"
    assert settings.database_ca_file == "/etc/ssl/rds/ca.pem"
    assert settings.database_pool_pre_ping
    assert "hush-hush" not in repr(settings)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_HOST", ""),
        ("DATABASE_PORT", "0"),
        ("DATABASE_PORT", "many"),
        ("DATABASE_POOL_SIZE", "0"),
        ("DATABASE_MAX_OVERFLOW", "-1"),
        ("DATABASE_POOL_TIMEOUT_SECONDS", "0"),
        ("DATABASE_SSLMODE", "verify"),
        ("LOG_LEVEL", "loud"),
        ("APP_NAME", "a b"),
    ],
)
def test_a_wrong_value_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError) as error:
        DatabaseSettings()
    assert name.lower() in str(error.value)
    assert "hush-hush" not in str(error.value)


def test_a_refusal_repeats_no_value(monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret may have been set under the wrong name."""
    for name in ("APP_NAME", "DATABASE_PORT", "LOG_LEVEL", "DATABASE_SSLMODE"):
        for value in ("../hunter2", "/hunter2"):
            with monkeypatch.context() as patch:
                patch.setenv(name, value)
                with pytest.raises(ValidationError) as error:
                    DatabaseSettings()
                assert "hunter2" not in str(error.value)


def test_a_missing_value_is_named_without_the_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_HOST")
    with pytest.raises(ValidationError, match="database_host") as error:
        DatabaseSettings()
    assert "hush-hush" not in str(error.value)


@pytest.mark.parametrize("role", ["Robert'); DROP TABLE", "UPPER", "1st", "x" * 64])
def test_a_role_is_a_plain_name(monkeypatch: pytest.MonkeyPatch, role: str) -> None:
    for name in ("MASTER_USERNAME", "MASTER_PASSWORD", "APP_DATABASE_SECRET_ARN", "AWS_REGION"):
        monkeypatch.setenv(name, "x")
    assert AdminSettings().app_database_user == "shop_app"
    monkeypatch.setenv("APP_DATABASE_USER", role)
    with pytest.raises(ValidationError, match="app_database_user"):
        AdminSettings()

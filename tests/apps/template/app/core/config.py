from pydantic import AliasChoices, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy import URL


class Settings(BaseSettings):
    """Each variable of the database has its own name for development, and the platform's."""

    model_config = SettingsConfigDict(env_file=".env", env_ignore_empty=True, extra="ignore", hide_input_in_errors=True)

    API_V1_STR: str = "/api/v1"
    PROJECT_NAME: str = "Items"
    POSTGRES_SERVER: str = Field(validation_alias=AliasChoices("POSTGRES_SERVER", "DATABASE_HOST"))
    POSTGRES_PORT: int = Field(5432, validation_alias=AliasChoices("POSTGRES_PORT", "DATABASE_PORT"))
    POSTGRES_USER: str = Field(validation_alias=AliasChoices("POSTGRES_USER", "DATABASE_USER"))
    POSTGRES_PASSWORD: SecretStr = Field(validation_alias=AliasChoices("POSTGRES_PASSWORD", "DATABASE_PASSWORD"))
    POSTGRES_DB: str = Field(validation_alias=AliasChoices("POSTGRES_DB", "DATABASE_NAME"))
    POSTGRES_SSLMODE: str = "verify-full"
    DATABASE_POOL_SIZE: int = Field(5, ge=1)
    DATABASE_MAX_OVERFLOW: int = Field(0, ge=0)

    @property
    def SQLALCHEMY_DATABASE_URI(self) -> URL:
        return URL.create(
            "postgresql+psycopg",
            username=self.POSTGRES_USER,
            password=self.POSTGRES_PASSWORD.get_secret_value(),
            host=self.POSTGRES_SERVER,
            port=self.POSTGRES_PORT,
            database=self.POSTGRES_DB,
            query={"sslmode": self.POSTGRES_SSLMODE, "sslrootcert": "/etc/ssl/rds/ca.pem", "connect_timeout": "3"},
        )


settings = Settings()

"""The service's settings: those of the library, and its own."""

from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator

from fargate_app.settings import DatabaseSettings, Driver


def _known_time_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (OSError, ValueError, KeyError) as error:  # its own message would repeat the value
        raise ValueError("unknown IANA time zone; a known one is Asia/Seoul") from error
    return name


class Settings(DatabaseSettings):
    """Settings of the service."""

    # The driver of the image, and of this service's benchmarks where both are installed.
    database_driver: Driver | None = "psycopg2"
    # The zone in which a month begins and ends.
    settlement_timezone: Annotated[str, AfterValidator(_known_time_zone)] = "Asia/Seoul"

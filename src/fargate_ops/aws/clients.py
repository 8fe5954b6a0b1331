"""The interface of AWS clients. `AwsSession` (session.py) and the fakes of the tests implement it."""

from __future__ import annotations

from typing import Any, Protocol


class Clients(Protocol):
    """Returns AWS clients by boto3's names of the services; creates each on first use."""

    def client(self, service: str) -> Any: ...

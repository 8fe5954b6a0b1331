"""The interface through which code calls AWS. `AwsSession` (session.py) has it, and so do the fakes of the tests."""

from __future__ import annotations

from typing import Any, Protocol


class Clients(Protocol):
    """Where AWS clients come from, by boto3's names; each is made when it is first needed."""

    def client(self, service: str) -> Any: ...

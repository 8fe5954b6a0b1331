"""The certificate authorities that requests to the public address trust."""

from __future__ import annotations

import os
import ssl
import urllib.request
from collections.abc import MutableMapping

#: Path of a PEM file. A variable of the process, because the load of a drill is a process of its own.
VARIABLE = "PUBLIC_URL_AUTHORITY"


def choose(environment: MutableMapping[str, str], file: str | None) -> None:
    """Trust the authorities in the PEM file of the inventory's ``public_url_authority`` too; None: no further one."""
    environment.pop(VARIABLE, None)
    if file:
        environment[VARIABLE] = file


def context() -> ssl.SSLContext:
    """Return a client's TLS settings: the authorities of this machine, and those of the inventory.

    Raises:
        OSError: the inventory's file cannot be read.
    """
    made = ssl.create_default_context()
    if file := os.environ.get(VARIABLE):
        try:
            made.load_verify_locations(file)
        except OSError as error:
            raise OSError(f"public_url_authority, {file}: {error}") from error
    return made


def opener(url: str, *handlers: urllib.request.BaseHandler) -> urllib.request.OpenerDirector:
    """Return urllib's opener for a URL, with further handlers.

    Raises:
        OSError: the inventory's file cannot be read.
    """
    # Reading the authorities takes longer than a request to this machine.
    tls = [urllib.request.HTTPSHandler(context=context())] if url.startswith("https:") else []
    return urllib.request.build_opener(*tls, *handlers)

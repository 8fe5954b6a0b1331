"""gunicorn's worker: uvicorn, with what the service needs of it."""

from typing import Any, ClassVar

from uvicorn_worker import UvicornWorker


class Worker(UvicornWorker):  # type: ignore[misc]  # has no type information
    """uvicorn on asyncio and httptools; a lifespan that fails stops the worker; the access log is our own."""

    CONFIG_KWARGS: ClassVar[dict[str, Any]] = {
        "loop": "asyncio",  # uvloop would be 16 MB, and gains nothing where each request waits for a thread
        "http": "httptools",
        "lifespan": "on",
        "ws": "none",
        "access_log": False,
        "server_header": False,
        # The client's address is not used; trusting X-Forwarded-For would only let one be invented.
        "proxy_headers": False,
    }

"""gunicorn's worker: uvicorn with the service's options."""

from typing import Any, ClassVar

from uvicorn_worker import UvicornWorker


class Worker(UvicornWorker):  # type: ignore[misc]  # has no type information
    """uvicorn on asyncio and httptools; a lifespan that fails stops the worker; the service logs requests itself."""

    CONFIG_KWARGS: ClassVar[dict[str, Any]] = {
        "loop": "asyncio",  # uvloop adds 16 MB and gains nothing, because each request waits for a thread
        "http": "httptools",
        "lifespan": "on",
        "ws": "none",
        "access_log": False,
        "server_header": False,
        # The client's address is not used; trusting X-Forwarded-For would only let a client invent one.
        "proxy_headers": False,
    }

"""gunicorn's configuration: `gunicorn --config python:fargate_app.gunicorn_conf shop.app:app`.

The number of workers is WEB_CONCURRENCY, which gunicorn reads itself.
Settings: https://gunicorn.org/reference/settings/
"""

import gc
import logging
import os
from typing import Any

from fargate_app.logs import logging_config

worker_class = "fargate_app.worker.Worker"
bind = f"0.0.0.0:{os.environ.get('PORT') or 8000}"
preload_app = True  # imported once, shared by the workers; the pool is created after the fork, in the lifespan

# Longer than the load balancer's idle timeout (60 s): it must never reuse a connection that we are closing.
keepalive = 75
timeout = 30  # a worker whose event loop is stuck this long is replaced
# In-flight requests get this long after SIGTERM; below the task's stopTimeout of 30 s, after which comes SIGKILL.
graceful_timeout = 25

worker_tmp_dir = "/dev/shm"  # noqa: S108 - the heartbeat files; the root file system is read-only
control_socket_disable = True  # it would be a file under $HOME, and nobody uses it

# No log line contains the caller, thread or process, so logging need not look them up for each line
# (https://docs.python.org/3/howto/logging.html#optimization).
logging._srcfile = None
logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False

accesslog = None
logconfig_dict = logging_config(os.environ.get("LOG_LEVEL", "INFO").upper())


def on_starting(server: Any) -> None:
    """Log what the application's own package logs at the same level as this one."""
    package = server.app.app_uri.partition(":")[0].partition(".")[0]
    logging.getLogger(package).setLevel(logging.getLogger("fargate_app").level)


def pre_fork(_server: Any, _worker: Any) -> None:
    """Exclude imported objects from garbage collection: workers share their pages and need not scan them again.

    https://docs.python.org/3/library/gc.html#gc.freeze
    """
    gc.collect()
    gc.freeze()
    # A request leaves hundreds of objects. By default every 700 start a collection, which takes a fifth of the worker's
    # time.
    gc.set_threshold(10_000, 10, 10)

"""How often a wait polls AWS.

AWS throttles an account and region, not a caller: a wait that polls often uses up the requests of other runs and of the
console. Each interval has jitter, so that waits which began together do not poll together.
https://docs.aws.amazon.com/AmazonECS/latest/APIReference/request-throttling.html
https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/
"""

from __future__ import annotations

import random

#: Seconds between two polls, unless a role or the inventory sets another number.
POLL_SECONDS = 3.0
#: An interval is longer or shorter by up to this share of itself.
JITTER = 0.25


def jittered(seconds: float, jitter: float = JITTER) -> float:
    """Return a random interval of about ``seconds``."""
    return seconds * random.uniform(1 - jitter, 1 + jitter)  # noqa: S311 - no secret depends on it

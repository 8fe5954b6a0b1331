"""The pace at which AWS is asked about something that lasts.

AWS throttles an account and region, not a caller: each wait that looks often takes its share of what a release, a
console and other flows may ask. Waits that began together must not ask together either, so each rest differs a little.
https://docs.aws.amazon.com/AmazonECS/latest/APIReference/request-throttling.html
https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/
"""

from __future__ import annotations

import random

#: Seconds between two looks where a role or the inventory sets nothing else.
POLL_SECONDS = 3.0
#: By this part of itself a rest is longer or shorter.
JITTER = 0.25


def jittered(seconds: float, jitter: float = JITTER) -> float:
    """Return a rest of about so many seconds, at random."""
    return seconds * random.uniform(1 - jitter, 1 + jitter)  # noqa: S311 - no secret depends on it

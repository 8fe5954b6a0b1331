"""The function's log, one line of JSON for each event: foreign text cannot begin a line of its own.

No line holds a statement, a message or the webhook's URL.
"""

from __future__ import annotations

import json
import sys


def say(what: str, **facts: object) -> None:
    """Log that ``what`` happened, with its facts."""
    print(json.dumps({"message": what, **facts}, default=str), file=sys.stderr, flush=True)

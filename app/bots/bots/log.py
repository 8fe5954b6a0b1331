"""One line of JSON for each thing worth knowing: what a stranger wrote cannot begin a line of its own.

No line holds a statement, a message or the webhook's URL.
"""

from __future__ import annotations

import json
import sys


def say(what: str, **facts: object) -> None:
    """``what`` happened, with its facts; in the function's log group."""
    print(json.dumps({"message": what, **facts}, default=str), file=sys.stderr, flush=True)

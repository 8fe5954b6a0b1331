"""Statements that pin a client's session to its connection.

https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/rds-proxy-pinning.html
"""

from __future__ import annotations

import re

from local_cloud.rds.database_proxy.messages import PARSE, QUERY, Message

_PINNING_STATEMENT = re.compile(
    rb"^\s*(?:SET|PREPARE|EXECUTE|DISCARD|DEALLOCATE|LISTEN|LOAD|DECLARE)\b"
    rb"|^\s*CREATE\s+(?:LOCAL\s+|GLOBAL\s+)?TEMP"
    rb"|\b(?:nextval|setval|set_config|pg_(?:try_)?advisory_\w*lock\w*)\s*\(",
    re.IGNORECASE,
)


def pinning_reason(message: Message) -> str | None:
    """Return why a client's message pins its session, or None if it does not."""
    if message.type == PARSE:
        name, _, statement = message.body.partition(b"\0")
        if name:
            return "a named prepared statement"
    elif message.type == QUERY:
        statement = message.body
    else:
        return None
    found = _PINNING_STATEMENT.search(statement)
    return found[0].decode(errors="replace").strip() if found else None

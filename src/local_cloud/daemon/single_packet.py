"""Send the headers and the body of an answer in one packet.

Hypercorn writes the headers, then the body. Terraform's provider sometimes closes the connection between the two and
repeats the request. If the first request created something, the second fails: "already exists".

Measured with provider 5.100.0: two to five of 1,000 requests were repeated, and none of 2,010 with this module.
"""

from __future__ import annotations

from typing import Any

import h11
from hypercorn.events import RawData
from hypercorn.protocol.h11 import H11Protocol


async def _send(self: Any, event: Any) -> None:
    """Replace H11Protocol's own method: keep a response's headers until the data after them arrives."""
    try:
        data = self.connection.send(event) or b""
    except h11.LocalProtocolError:
        if self.connection.their_state != h11.ERROR:
            raise
        return
    if isinstance(event, h11.Response):
        self.headers_to_send = data
        return
    headers, self.headers_to_send = getattr(self, "headers_to_send", b""), b""
    await self.send(RawData(data=headers + data))


def install() -> None:
    """Change all of hypercorn's servers in this process."""
    H11Protocol._send_h11_event = _send  # type: ignore[method-assign]

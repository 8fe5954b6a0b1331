"""A fake incoming webhook of Slack. It checks requests and responds as Slack does, and stores what it receives.

    with Slack() as slack:                       # or Slack(address="172.17.0.1", port=8099)
        secretsmanager.put_secret_value(SecretId=…, SecretString=slack.url)
        slack.plan(429, 503)                     # refuse the next two requests
        …
        message = slack.wait_for(lambda message: "Slow" in message["text"])

Limits and responses: https://docs.slack.dev/reference/block-kit/blocks,
https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks.
"""

from __future__ import annotations

import html
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

Message = dict[str, Any]
#: The secret part of the address, which permits posting. No log may contain it.
TOKEN = "/services/T000/B000/very-secret"


@dataclass(frozen=True)
class Answer:
    """Slack's response to one request."""

    status: int = 200
    body: str = "ok"
    retry_after: int | None = None


@dataclass(frozen=True)
class Request:
    """A received request, its time (monotonic), and the response."""

    body: bytes
    at: float
    answer: Answer


class Slack:
    """One webhook. ``messages`` holds the accepted messages, ``requests`` all requests and their responses."""

    def __init__(self, address: str = "127.0.0.1", port: int = 0) -> None:
        self.messages: list[Message] = []
        self.requests: list[Request] = []
        self._planned: list[Answer] = []
        self._changed = threading.Condition()
        self._server = ThreadingHTTPServer((address, port), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self.url = f"http://{address}:{self._server.server_port}{TOKEN}"

    def __enter__(self) -> Slack:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def plan(self, *answers: Answer | int) -> None:
        """Set the responses to the next requests, one each. Later responses depend on the content again."""
        with self._changed:
            self._planned += [Answer(answer, "") if isinstance(answer, int) else answer for answer in answers]

    def forget(self) -> None:
        """Return to the state at start: no messages, requests or planned responses."""
        with self._changed:
            self.messages.clear()
            self.requests.clear()
            self._planned.clear()

    def wait_for(self, wanted: Callable[[Message], bool] = lambda message: True, seconds: float = 240) -> Message:
        """Return the first message that is ``wanted``. Raise `TimeoutError` with the received requests."""
        until = time.monotonic() + seconds
        with self._changed:
            while True:
                for message in self.messages:
                    if wanted(message):
                        return message
                if not self._changed.wait(until - time.monotonic()) and time.monotonic() >= until:
                    received = [(request.answer, request.body[:300]) for request in self.requests]
                    raise TimeoutError(f"no such message within {seconds} s; received: {received}")

    def receive(self, path: str, content_type: str, body: bytes) -> Answer:
        """Return the response to a request, and store an accepted message."""
        with self._changed:
            answer, message = judge(path, content_type, body)
            if self._planned:
                answer, message = self._planned.pop(0), None
            if message is not None:
                self.messages.append(message)
            self.requests.append(Request(body, time.monotonic(), answer))
            self._changed.notify_all()
            return answer


def _handler(slack: Slack) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            answer = slack.receive(self.path, self.headers.get("Content-Type", ""), body)
            try:
                self.send_response(answer.status)
                if answer.retry_after is not None:
                    self.send_header("Retry-After", str(answer.retry_after))
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body.encode())
            except OSError:  # the client has disconnected
                self.close_connection = True

        def log_message(self, *_: Any) -> None:
            """Log nothing."""

    return Handler


def judge(path: str, content_type: str, body: bytes) -> tuple[Answer, Message | None]:
    """Return Slack's response to a request, and the message if Slack accepts it."""
    if path != TOKEN:
        return Answer(404, "no_service"), None
    if content_type.partition(";")[0].strip() != "application/json":
        return Answer(400, "invalid_payload"), None
    try:
        message = json.loads(body.decode())
    except ValueError:
        return Answer(400, "invalid_payload"), None
    if not isinstance(message, dict) or _surrogates(body.decode()):
        return Answer(400, "invalid_payload"), None
    if not message.get("text") and not message.get("blocks"):
        return Answer(400, "no_text"), None
    if problems(message):
        return Answer(400, "invalid_blocks"), None
    return Answer(), message


def _surrogates(text: str) -> bool:
    """Return whether the text has an unpaired surrogate, written as an escape."""
    return any("\ud800" <= character <= "\udfff" for character in json.dumps(json.loads(text), ensure_ascii=False))


def problems(message: Message) -> list[str]:
    """Return what Slack would refuse, each with its place in the message."""
    found = []
    if not isinstance(message.get("text", ""), str) or len(message.get("text", "")) > 40_000:
        found.append("text: not a text of at most 40,000 characters")
    blocks = message.get("blocks", [])
    if not isinstance(blocks, list) or len(blocks) > 50:
        return [*found, "blocks: not a list of at most 50"]
    for at, block in enumerate(blocks):
        found += [f"blocks[{at}]: {problem}" for problem in _block_problems(block)]
    return found


def _block_problems(block: Any) -> Iterator[str]:
    if not isinstance(block, dict):
        yield "not an object"
        return
    known = {"header": {"text"}, "section": {"text", "fields"}, "context": {"elements"}, "divider": set()}
    kind = block.get("type")
    if kind not in known:
        yield f"unknown type {kind!r}"
        return
    if extra := set(block) - known[kind] - {"type", "block_id"}:
        yield f"unknown keys {sorted(extra)}"
    match kind:
        case "header":
            yield from _text_problems(block.get("text"), 150, ("plain_text",))
        case "section":
            if "text" not in block and "fields" not in block:
                yield "neither text nor fields"
            if "text" in block:
                yield from _text_problems(block["text"], 3000)
            yield from _many(block.get("fields", [{"type": "mrkdwn", "text": "-"}]), 2000)
        case "context":
            yield from _many(block.get("elements"), 3000)


def _many(texts: Any, limit: int) -> Iterator[str]:
    if not isinstance(texts, list) or not 1 <= len(texts) <= 10:
        yield "not a list of 1 to 10"
        return
    for text in texts:
        yield from _text_problems(text, limit)


def _text_problems(text: Any, limit: int, kinds: tuple[str, ...] = ("plain_text", "mrkdwn")) -> Iterator[str]:
    if not isinstance(text, dict) or text.get("type") not in kinds or not isinstance(text.get("text"), str):
        yield f"not a text of {kinds}"
        return
    if extra := set(text) - {"type", "text", "emoji" if text["type"] == "plain_text" else "verbatim"}:
        yield f"unknown keys {sorted(extra)}"
    units = len(text["text"].encode("utf-16-le", "surrogatepass")) // 2
    if not 1 <= units <= limit:
        yield f"{units} characters, not 1 to {limit}"


def texts(message: Message, kinds: tuple[str, ...] = ("mrkdwn",)) -> list[str]:
    """Return the notification's line and the blocks' texts of these kinds. Slack formats mrkdwn, but not plain text."""
    found = [message.get("text", "")]

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            if value.get("type") in kinds:
                found.append(value["text"])
            for inner in value.values():
                walk(inner)
        elif isinstance(value, list):
            for inner in value:
                walk(inner)

    walk(message.get("blocks", []))
    return found


def shown(message: Message) -> str:
    """Return the text that a person reads: links as their labels, entities resolved."""
    text = "\n".join(texts(message, ("mrkdwn", "plain_text")))
    return html.unescape(re.sub(r"<[^<>|]*\|([^<>]*)>", r"\1", text))


def intrusions(message: Message) -> list[str]:
    """Return every mention, link to other hosts than AWS, broken code block and hidden character: all are errors."""
    found = []
    for text in texts(message):
        for control in re.findall(r"<([^<>]*)>?", text):
            if not re.fullmatch(r"https://[a-z0-9.-]*console\.aws\.amazon\.com/[^\s|]*\|[^|]*", control):
                found.append(f"<{control}>")
        found += re.findall(r"@(?:here|channel|everyone)", text, re.IGNORECASE)
        found += [repr(character) for character in re.findall(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", text)]
        if re.search(r"&(?!amp;|lt;|gt;)", text):
            found.append("a bare &")
        if len(re.findall("```", text)) not in (0, 2) or text.replace("```", "").count("`") % 2:
            found.append("an open code")
        if "```" in text and not re.fullmatch(r"```[^`]*```", text, re.DOTALL):
            found.append("code that ends early")
    return found

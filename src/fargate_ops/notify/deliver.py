"""Deliver one message to Slack: ``python -m fargate_ops.notify.deliver <json>``, the message on standard input.

Started by `Notifier.send` as a child in its own session: the caller neither waits for it nor fails with it. It writes
one line to the log, never with the URL: of an error only the type, because its text may contain the URL.
"""

from __future__ import annotations

import ipaddress
import re
import signal
import sys
from collections.abc import Mapping
from typing import Any, NoReturn
from urllib.parse import urlsplit

import requests
from botocore.exceptions import BotoCoreError, ClientError
from requests.adapters import HTTPAdapter
from urllib3 import Retry

from fargate_ops.aws.session import aws_session
from fargate_ops.core.problem import OperationsError
from fargate_ops.notify.slack import Assignment, Message, record

#: Worth a retry; for 429 after Slack's Retry-After (https://api.slack.com/apis/rate-limits).
PASSING = (429, 500, 502, 503, 504)


class NoWebhook(OperationsError):
    """There is no usable webhook URL: none is set, or it cannot be read; the message says which."""


class TimeIsUp(BaseException):
    """The time limit was reached. A BaseException, so that no library catches it as its own error."""


def deliver(assignment: Assignment, message: Message, secretsmanager: Any) -> str:
    """Read the URL and post the message; return the outcome in one line, without the URL. Raises only `TimeIsUp`."""
    try:
        return post(read_webhook(secretsmanager, assignment.secret_arn), {"text": message.text}, assignment)
    except NoWebhook as reason:
        return f"nothing sent: {reason}"
    except requests.RequestException as error:
        return f"not delivered: {_kind(error)}"
    except Exception as error:
        return f"not delivered: {type(error).__name__}"


def read_webhook(secretsmanager: Any, secret_arn: str) -> str:
    """Read the webhook's URL.

    Raises:
        NoWebhook: there is no value, it cannot be read, or it is not a safe URL.
    """
    try:
        url = str(secretsmanager.get_secret_value(SecretId=secret_arn).get("SecretString", "")).strip()
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code == "ResourceNotFoundException":  # also for a secret without a current version
            raise NoWebhook("no webhook is set") from None
        raise NoWebhook(f"the webhook cannot be read: {code}") from None
    except BotoCoreError as error:
        raise NoWebhook(f"the webhook cannot be read: {type(error).__name__}") from None
    if not url:
        raise NoWebhook("no webhook is set")
    if not is_safe(url):
        raise NoWebhook("the webhook is not an https:// address")
    return url


def is_safe(url: str) -> bool:
    """Return whether a post to `url` is encrypted or stays on this machine."""
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and (parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(url)))
    except ValueError:
        return False


def post(url: str, payload: Mapping[str, Any], assignment: Assignment) -> str:
    """POST the payload, with retries; return ``delivered (…)`` or ``not delivered: …``.

    Raises:
        requests.RequestException: no response to the last attempt.
    """
    retry = Retry(
        total=assignment.attempts - 1,
        status_forcelist=PASSING,
        allowed_methods=None,  # POST too: a duplicate message is better than none
        backoff_factor=0.5,
        raise_on_status=False,
    )
    with requests.Session() as session:
        # A proxy from the environment is used, except for a local address.
        session.trust_env = not _is_loopback(url)
        for scheme in ("https://", "http://"):
            session.mount(scheme, HTTPAdapter(max_retries=retry))
        answer = session.post(url, json=payload, timeout=assignment.timeout_seconds, allow_redirects=False)
    retries = answer.raw.retries
    attempts = 1 + len(retries.history if retries else ())
    said = answer.text.strip()
    # Slack's errors are words such as no_service; other text is not repeated.
    word = f" {said}" if re.fullmatch(r"[a-z_]{1,60}", said) else ""
    times = f"HTTP {answer.status_code}{word}, {attempts} attempt{'s' if attempts > 1 else ''}"
    return f"delivered ({times})" if answer.ok and not answer.is_redirect else f"not delivered: {times}"


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _kind(error: BaseException) -> str:
    """Return the type of an error and of its cause, ``ConnectionError (NewConnectionError)``, without the text."""
    cause = getattr(error.args[0] if error.args else None, "reason", None)
    return f"{type(error).__name__}{f' ({type(cause).__name__})' if cause else ''}"


def _time_is_up(*_: object) -> NoReturn:
    raise TimeIsUp


def main(argument: str) -> int:
    assignment = Assignment.from_argument(argument)
    message = Message.from_json(sys.stdin.read())
    signal.signal(signal.SIGALRM, _time_is_up)
    signal.setitimer(signal.ITIMER_REAL, assignment.limit_seconds)
    try:
        # Inherited: the action has applied the play's environment.
        client = aws_session({}, assignment.region).client("secretsmanager")
        outcome = deliver(assignment, message, client)
    except TimeIsUp:
        outcome = f"not delivered: gave up after {assignment.limit_seconds:g} s"
    except Exception as error:
        outcome = f"not delivered: {type(error).__name__}"
    signal.setitimer(signal.ITIMER_REAL, 0)
    record(assignment.log, message, outcome)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

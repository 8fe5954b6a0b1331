"""Name the one cause of a failed deployment that a person would name, from ECS's reasons, health checks and logs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence

from fargate_ops.ecs.tasks import Stop

#: The last line of a traceback: ``sqlalchemy.exc.OperationalError: …``.
_EXCEPTION = re.compile(r"^(?:(?:\w+\.)*\w*(?:Error|Exception|Exit|Interrupt)(?:: .*)?|(?:\w+\.)+[A-Z]\w+: .*)$")
_TELLS_OF_AN_ERROR = re.compile(
    r"\b(?:error|fatal|critical|failed|cannot|could not|denied|refused|no such|not found)\b", re.IGNORECASE
)
#: Where an exception's text ends, and lines of it that only point at documents.
_NEXT_RECORD = re.compile(r"^(?:\[\d{4}|Traceback |During handling|The above exception|\s*File \")")
_POINTERS = ("(Background on this error", "For further information")
#: Lines that follow an exception's first line and belong to it.
_CONTINUATION = 3
_LONGEST = 300
#: ECS's reason of a failed health check names the target group at length.
_TARGET_GROUP = re.compile(r" in \(?target-group [^)\s]+\)?")


def readable(lines: Sequence[str]) -> list[str]:
    """Return log lines for a person: the message of a JSON event, its exception unfolded, no metrics."""
    return [text for line in lines for text, _ in _unfolded(line)]


def root_cause(stops: Sequence[Stop], lines: Sequence[str], targets: Sequence[str], reason: str) -> str:
    """Return the cause in one line: how the last task ended, and the last error in its log.

    ``stops`` are the relevant tasks, the newest last; ``targets`` those that are not healthy, as `target_lines` returns
    them. ``reason`` is the deployment's own, which counts if no task says more.
    """
    parts = [_of_task(stops[-1], targets) if stops else "", error_in(lines)]
    if not any(parts):
        parts = [reason, *(target.partition(" ")[2] for target in targets[:1])]
    elif not parts[0]:
        parts = [reason, *parts]
    return ": ".join(part for part in parts if part)[:_LONGEST]


def without(lines: Sequence[str], cause: str) -> list[str]:
    """Return the lines that neither repeat the cause nor a part of it."""
    return [line for line in lines if not cause or (line.strip() not in cause and cause not in line)]


def error_in(lines: Sequence[str]) -> str:
    """Return the last error of a log in one line: an exception, else an event of level ERROR, else any such line."""
    events = [part for line in lines for part in _unfolded(line)]
    for number in reversed(range(len(events))):
        if _EXCEPTION.match(events[number][0].strip()):
            return _exception([text for text, _ in events[number:]])
    errors = [text for text, level in events if level in ("ERROR", "CRITICAL")]
    errors = errors or [text for text, _ in events if _TELLS_OF_AN_ERROR.search(text)]
    return errors[-1].strip() if errors else ""


def _of_task(stop: Stop, targets: Sequence[str]) -> str:
    if "health check" in stop.reason:
        answer = next((target.partition(" ")[2] for target in targets if "unhealthy" in target), "")
        return ": ".join(filter(None, [_TARGET_GROUP.sub("", stop.reason), answer]))
    if stop.exit_code is not None:
        return "; ".join(filter(None, [f"exit code {stop.exit_code}", stop.container_reason]))
    return str(stop)


def _exception(lines: Sequence[str]) -> str:
    first, *rest = (line.strip() for line in lines[: _CONTINUATION + 1])
    text = [first]
    for line in rest:
        if not line or line.startswith(_POINTERS) or _NEXT_RECORD.match(line):
            break
        text.append(line)
    # The exception's module says nothing to a person.
    return re.sub(r"^(?:\w+\.)+(?=\w+(?::|$))", "", " ".join(text))


def _unfolded(line: str) -> Iterator[tuple[str, str]]:
    """Return the lines of one log line, with its level."""
    try:
        event = json.loads(line)
    except ValueError:
        event = None
    if not isinstance(event, dict) or "message" not in event:
        yield from ((text, "") for text in line.splitlines())
        return
    if "_aws" in event:  # CloudWatch's embedded metrics
        return
    level = str(event.get("level", ""))
    yield " ".join(filter(None, [level, str(event["message"])])), level
    yield from ((f"  {text}", level) for text in str(event.get("exception", "")).splitlines())

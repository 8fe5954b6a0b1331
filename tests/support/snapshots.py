"""Whole screens as files. Rules name what differs from run to run, and from machine to machine."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

#: Set it to write the files anew; then review the difference.
RENEW = "RENEW_SCREENS"

_MARK = r"[✓⟳\u2013✗v~x-]"


@dataclass(frozen=True)
class Rule:
    """A regular expression of several lines, and what stands for it in the file: nothing if it may be missing."""

    name: str
    pattern: str
    text: str = ""

    def apply(self, screen: str) -> str:
        return re.sub(self.pattern, self.text, screen, flags=re.MULTILINE)


#: What differs on any screen.
TIMES = (
    Rule("name of a log", r"\d{8}T\d{6}(?:\.\d+)?(?=-)", "TIME"),
    Rule("seconds", r"\b\d+ min \d+ s\b|\b\d+(?:\.\d+)? s\b", "N s"),
    Rule("colour", r"\x1b\[(\d+)m", r"{\1}"),
)

#: What else differs on the screen of a verb. Each rule sees what the rules before it left.
VERB = (
    *TIMES,
    # What a slower or another machine prints, or does not.
    Rule("before the first step", rf"\A(?:(?!{_MARK} .*  N s).*\n)*"),
    Rule("make's error", r"^make(?:\[\d+\])?: .*\n"),
    Rule("sign of life", r"^  (?:…|\.\.\.) (?!(?:\d+|N) more lines).*\n"),
    Rule("silent step that took long", r"^[✓v] (?:(?!  N s).)*  N s\n(?!  )"),
    Rule(
        "this machine",
        rf"^{_MARK} (Check this machine and the inventory|Bring the local environment up)  N s.*\n(?:  .*\n)*",
        r"* \1  N s  MACHINE\n",
    ),
    Rule("more lines in the log", r"\d+ more lines", "N more lines"),
    Rule("build and push", r"^  (?:Step \d+/|its schema is |pushed [\d.]+ of ).*\n"),
    Rule("packages of the image", r"(stored its bill of materials), .*", r"\1"),
    Rule("progress of a rollout", r"^ +N s  new \d.*\n"),
    Rule("progress of a task", r"^  task \S+ \w+ \(N s\)\n"),
    Rule("evidence of a failed step", r"^([✗x] .*  N s)\n(?:  .*\n)+", r"\1\n  EVIDENCE\n"),
    Rule("time of each phase", r"^(  took: +N s, changed=\d+): .*", r"\1"),
    # What a kind of value is.
    Rule("number of changes", r"\bchanged=[1-9]\d*", "changed=N"),
    Rule(
        "number of resources", r"\b(create|update|replace|destroy|read) \d+|\b\d+ (added|changed|destroyed)", r"\1\2 N"
    ),
    Rule("number of tasks", r"\b(?:\d+ to )?\d+ (?=tasks\b)", "N "),
    Rule("former limits", r"\(were: \d+ to \d+\)", "(were: N to N)"),
    Rule("number of answers", r"\b\d+ right in a row of \d+ answers", "N right in a row of N answers"),
    Rule("date", r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", "WHEN"),
    Rule("age", r"\b(?:N s|\d+ min|\d+ h) ago", "N s ago"),
    Rule("digest", r"sha256[:-][0-9a-f]*", "DIGEST"),
    Rule("id", r"\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b", "ID"),
    Rule("deployment", r"\becs-svc/\d+", "DEPLOYMENT"),
    Rule("account", r"-\d{12}-", "-ACCOUNT-"),
    Rule("version", r"\b[0-9a-f]{12}(?:\+[0-9a-f]{4})?\b", "VERSION"),
    Rule("revision", r"\b(settlement-)(?:e2e-\d+|local)((?:-admin)?:)\d+", r"\1local\2N"),
    Rule("list of releases", r"(VERSION \(settlement-local:N\))(?:, VERSION \(settlement-local:N\))+", r"\1"),
    Rule("address", r"\b(?:localhost|127\.0\.0\.1|172\.31\.\d+\.\d+)(?::\d+)?", "ADDRESS"),
    Rule("person", r"\b[\w.-]+@\w[\w-]*(?:\.\w[\w-]*)*(?=\W)", "WHO"),
    # The account is planned again if another environment was planned meanwhile.
    Rule("account, planned or not", r"account: as it was applied.*", "account: no change"),
    # Where the screen cuts a summary depends on the width of the step's time.
    Rule("long summary", rf"^({_MARK} (?:(?!  N s).)*  N s  (?=.{{41}}).{{0,40}}(?=\s)).*", r"\1 ..."),
)


def masked(screen: str, rules: Iterable[Rule]) -> str:
    """Return the screen as the file has it."""
    for rule in rules:
        screen = rule.apply(screen)
    return screen


def check(file: Path, screen: str, rules: Iterable[Rule] = TIMES) -> None:
    """Compare a screen with the file."""
    screen = masked(screen, rules)
    if os.environ.get(RENEW):
        file.parent.mkdir(exist_ok=True)
        file.write_text(screen)
    expected = file.read_text()
    difference = "".join(
        difflib.unified_diff(expected.splitlines(True), screen.splitlines(True), file.name, "screen", n=1)
    )
    assert screen == expected, f"another screen than {file.name}; {RENEW}=1 writes it anew:\n{difference}"

"""What a snapshot of a screen leaves out: all that differs between runs and machines, and nothing else."""

from __future__ import annotations

import pytest

from tests.support.snapshots import VERB, masked

UUID = "b1946ac9-2f3a-4c1d-9f0e-5a7c6d8e9f00"
STEP = "v Build and push the image  N s  "
SAMPLES = [
    ("name of a log", "  log: log/20261201T000825.77-deploy.log\n", "  log: log/TIME-deploy.log\n"),
    ("seconds", "v Wait  1 min 2 s  in 0.4 s\n", "v Wait  N s  in N s\n"),
    ("colour", "\x1b[32mv Wait  N s\x1b[0m\n", "{32}v Wait  N s{0}\n"),
    ("before the first step", "Makefile:44: unused: TF_LOG\npip: ok\nv Wait  N s  a\nv b\n", "v Wait  N s  a\nv b\n"),
    ("make's error", "  log: a\nmake: *** [Makefile:94: deploy] Error 2\n", "  log: a\n"),
    ("sign of life", "  ... Wait: N s, 1 of 3\n  ... 3 more lines in the log\n", "  ... 3 more lines in the log\n"),
    ("silent step that took long", "v Bring up  N s\nv Take  N s  locked\n", "v Take  N s  locked\n"),
    (
        "this machine",
        "~ Check this machine and the inventory  N s\n  60 GiB\n  terraform\nv Next  N s  a\n",
        "* Check this machine and the inventory  N s  MACHINE\nv Next  N s  a\n",
    ),
    ("more lines in the log", "  ... 41 more lines in the log\n", "  ... N more lines in the log\n"),
    (
        "build and push",
        "  Step 29/29 : LABEL a\n  its schema is 0001\n  pushed 85.3 of 85.3 MiB, 3 layers\n  pushed app:1\n",
        "  pushed app:1\n",
    ),
    (
        "packages of the image",
        "  stored its bill of materials, 94 of Debian, as a\n",
        "  stored its bill of materials\n",
    ),
    (
        "progress of a rollout",
        "  N s  new 0 pending, 3 running\n  app:1 is the only one\n",
        "  app:1 is the only one\n",
    ),
    ("progress of a task", f"  task {UUID} running (N s)\n  done\n", "  done\n"),
    (
        "evidence of a failed step",
        "x Release  N s\n  Service events:\n    21:05 started\nx local: failed\n  where: a\n",
        "x Release  N s\n  EVIDENCE\nx local: failed\n  where: a\n",
    ),
    ("time of each phase", "  took: N s, changed=1: image N s\n", "  took: N s, changed=1\n"),
    ("number of changes", "changed=12, changed=0", "changed=N, changed=0"),
    ("number of resources", "create 131; 7 added, 0 changed", "create N; added N, changed N"),
    ("number of tasks", "limits are 3 to 4 tasks; (app:1), 2 tasks", "limits are N tasks; (app:1), N tasks"),
    ("former limits", "limits to N tasks (were: 0 to 4)", "limits to N tasks (were: N to N)"),
    ("number of answers", "6 right in a row of 8 answers", "N right in a row of N answers"),
    ("date", "since 2026-11-30 20:52:34 UTC", "since WHEN"),
    ("age", "2 min ago; last heard of N s ago", "N s ago; last heard of N s ago"),
    ("digest", f"app@sha256:{'0a' * 32} sha256-0a.sbom", "app@DIGEST DIGEST.sbom"),
    ("id", f"task {UUID} stopped", "task ID stopped"),
    ("deployment", "watching ecs-svc/5974018608115058002", "watching DEPLOYMENT"),
    ("account", "s3://state-000000000000-ap-northeast-2", "s3://state-ACCOUNT-ap-northeast-2"),
    ("version", "a60763bb6dd5+57c0 over a60763bb6dd5", "VERSION over VERSION"),
    ("revision", "settlement-local-admin:7, settlement-local", "settlement-local-admin:N, settlement-local"),
    (
        "list of releases",
        "Possible: VERSION (settlement-local:N), VERSION (settlement-local:N)\n",
        "Possible: VERSION (settlement-local:N)\n",
    ),
    ("address", "http://127.0.0.1:8790/readyz localhost:4766/app", "http://ADDRESS/readyz ADDRESS/app"),
    ("person", "held by root@vm, for Release; by ann@a.example. Next", "held by WHO, for Release; by WHO. Next"),
    ("account, planned or not", "N s  account: as it was applied, so it is\n", "N s  account: no change\n"),
    (
        "long summary",
        f"{STEP}a summary of which forty characters are kept, as whole words\n{STEP}a short one\n",
        f"{STEP}a summary of which forty characters are ...\n{STEP}a short one\n",
    ),
]


@pytest.mark.parametrize(("name", "screen", "left"), SAMPLES, ids=[name for name, _, _ in SAMPLES])
def test_a_rule(name: str, screen: str, left: str) -> None:
    (rule,) = (rule for rule in VERB if rule.name == name)
    assert rule.apply(screen) == left


def test_every_rule_has_a_sample() -> None:
    assert [name for name, _, _ in SAMPLES] == [rule.name for rule in VERB]


def test_a_masked_screen_stays_as_it_is() -> None:
    screen = "".join(left for _, _, left in SAMPLES)
    once = masked(screen, VERB)
    assert masked(once, VERB) == once

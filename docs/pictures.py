"""Make the pictures of the README and the docs from real runs on the local environment, which must be deployed.

make pictures                make all of them
make pictures ONLY=console   only this one

A release adds one variable, and the next one removes it. Nothing is edited by hand. A test compares what the pictures
show with the playbooks and pages as they are now; for the pages, shown.json has it.
"""

from __future__ import annotations

import base64
import io
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml
from PIL import Image

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # a script's path has only its own folder

from docs import drawing, shares, terminal  # noqa: E402
from tests.support.browser import Browser, browser, chromium  # noqa: E402

FOLDER = ROOT / "docs/pictures"
SHOWN = FOLDER / "shown.json"
WORK = ROOT / ".local/local"
INVENTORY = ROOT / "inventory/local/group_vars/all"

#: How much of a page its picture shows at most, in the page's pixels, and the size of one of them.
WIDTH, HEIGHT, SCALE = 1000, 1600, 0.8
#: Where a picture ends: below the last of these parts that is whole in it.
END = f"""Math.max(...[...document.querySelectorAll("section, figure, table, details")]
  .map((part) => part.getBoundingClientRect().bottom).filter((bottom) => bottom <= {HEIGHT}))"""
#: At most, until the console shows what it should.
SECONDS = 150

#: Each section was read, and enough of the console's calls to AWS are left to follow a rollout.
SETTLED = """["#rollout .task-list", "#traffic canvas", "#ledger table"].every((part) => document.querySelector(part))
  && Number(document.querySelector("#footer").innerText.match(/([0-9]+) of at most/)[1]) < 22"""
#: The tasks of both versions are shown.
HALFWAY = """["old", "new"].every(
  (side) => document.querySelector(`#rollout .side.${side} .task-list li:not(.quiet)`))"""


def playbook(name: str, **variables: Any) -> list[str]:
    return ["ansible-playbook", "-i", "inventory/local", f"playbooks/{name}.yml", "-e", json.dumps(variables)]


def quietly(command: Sequence[str]) -> None:
    """Run a command whose output nobody needs unless it fails."""
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"pictures: {' '.join(command)} failed:\n{done.stdout[-4000:]}")


def release() -> terminal.Shown:
    """Release one variable more on a terminal of its own."""
    variables: dict[str, Any] = yaml.safe_load((INVENTORY / "app.yml").read_text(encoding="utf-8"))["app_environment"]
    variables |= {"PICTURES": f"{time.time():.0f}"}
    command = playbook("release", app_environment=variables, ecs_release_why="pictures of the docs")
    return terminal.run(command, os.environ)


def architecture() -> None:
    source = yaml.safe_load((ROOT / "docs/architecture.yml").read_text(encoding="utf-8"))
    write("architecture.svg", drawing.svg(source))


def strategies() -> None:
    write("strategies.svg", shares.svg())


def rollout(names: Sequence[str]) -> None:
    """Make the pictures of a release on the terminal and in the console."""
    quietly(playbook("console"))
    with console() as address, tab_of(address) as tab, ThreadPoolExecutor(1) as run:
        if "console" in names:
            tab.wait(SETTLED, SECONDS)
        ended = run.submit(release)
        try:
            if "console" in names:
                tab.wait(HALFWAY, SECONDS)
                photograph(tab, "console.png")
        finally:
            shown = ended.result()
            if not shown.status:
                quietly(playbook("release", ecs_release_why="pictures of the docs"))
    if shown.status:
        raise SystemExit(f"pictures: the release failed:\n{shown.text[-4000:]}")
    if "release" in names:
        write("release.svg", shown.svg("make release"))


def cost_report() -> None:
    """Show the report of the drill's month, whose surge has known causes."""
    quietly(playbook("drill", drill_name="cost_surge"))
    with tab_of((WORK / "drill/cost.html").as_uri()) as tab:
        photograph(tab, "cost-report.png")


@contextmanager
def console() -> Iterator[str]:
    """Serve the console; yield its address."""
    command = [sys.executable, "-m", "fargate_ops.console", str(WORK / "console.json")]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline() if process.stdout else ""
        found = re.search(r"http://\S+", line)
        if not found:
            raise SystemExit("pictures: the console does not start. Next: make console")
        yield found[0]
    finally:
        process.terminate()
        process.wait()


@contextmanager
def tab_of(address: str) -> Iterator[Browser]:
    with tempfile.TemporaryDirectory() as folder, browser(Path(folder)) as tab:
        tab.size(WIDTH, HEIGHT)
        tab.prefer(prefers_color_scheme="light", prefers_reduced_motion="reduce")
        tab.open(address)
        yield tab


@contextmanager
def requests_to(address: str) -> Iterator[None]:
    """Send requests, so that the charts have something to show."""
    ended = threading.Event()

    def send() -> None:
        while not ended.wait(0.05):
            with suppress(OSError), urllib.request.urlopen(f"{address}/healthz", timeout=5) as answer:  # noqa: S310
                answer.read()

    sender = threading.Thread(target=send)
    sender.start()
    try:
        yield
    finally:
        ended.set()
        sender.join()


def photograph(tab: Browser, name: str) -> None:
    """Write a picture of the page, and the headings in it."""
    height = tab.evaluate(END)
    headings = tab.evaluate(
        f"""[...document.querySelectorAll("h2")].filter((heading) => heading.getBoundingClientRect().top < {height})
        .map((heading) => heading.innerText.trim())"""
    )
    clip = {"x": 0, "y": 0, "width": WIDTH, "height": height, "scale": SCALE}
    taken = tab.call("Page.captureScreenshot", clip=clip, captureBeyondViewport=True)["data"]
    image = Image.open(io.BytesIO(base64.b64decode(taken))).convert("RGB")
    image.quantize(256, dither=Image.Dither.NONE).save(FOLDER / name, optimize=True)
    shown = json.loads(SHOWN.read_text(encoding="utf-8")) if SHOWN.exists() else {}
    write("shown.json", json.dumps(shown | {name: headings}, indent=2, sort_keys=True, ensure_ascii=False) + "\n")


def write(name: str, content: str) -> None:
    (FOLDER / name).write_text(content, encoding="utf-8")


def main(arguments: Sequence[str]) -> None:
    known: Mapping[str, Any] = dict.fromkeys(("architecture", "strategies", "cost-report", "console", "release"))
    names = arguments or list(known)
    FOLDER.mkdir(exist_ok=True)
    if unknown := set(names) - set(known):
        raise SystemExit(f"pictures: there is no picture {', '.join(sorted(unknown))}. Next: one of {', '.join(known)}")
    if chromium() is None and set(names) - {"architecture", "strategies"}:
        raise SystemExit("pictures: there is no Chromium on this machine. Next: python -m tests.prepare")
    if "architecture" in names:
        architecture()
    if "strategies" in names:
        strategies()
    with requests_to("http://127.0.0.1:8080"):
        if "cost-report" in names:
            cost_report()
        if {"console", "release"} & set(names):
            rollout(names)
    print(f"pictures: {', '.join(names)}. Next: git diff docs/pictures")


if __name__ == "__main__":
    os.chdir(ROOT)
    main(sys.argv[1:])

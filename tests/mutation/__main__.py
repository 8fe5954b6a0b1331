"""Put faults into the riskiest modules, one at a time, and report those that the modules' unit tests do not detect.

The faults are mutmut's (https://mutmut.readthedocs.io/): another operator, constant, argument or text in a function.
One file contains all faults of a module. Each fault is tried in its own process, forked from one that has imported
everything: starting pytest for each of hundreds of faults would take hours.
"""

from __future__ import annotations

import ast
import difflib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import pytest
from _pytest.runner import runtestprotocol
from mutmut.mutation.file_mutation import mutate_file_contents
from mutmut.mutation.trampoline import set_mutant_under_test
from mutmut.state import state

HERE = Path(__file__).parent
WORK = Path(".local/mutation")
#: The tests must detect this percentage of a module's faults.
FLOOR = 90.0
#: Limits of one fault: CPU seconds in addition to three times those of its tests, and elapsed seconds.
CPU_SECONDS = 5.0
SECONDS = 300.0
ORIGINAL = "__mutmut_orig"
NO_FAULT = "none"
#: The exit code of a trial that does not say which test failed. Others are 0, or the test's number.
UNKNOWN = 255

hypothesis.settings.register_profile(
    "mutation",
    deadline=None,
    derandomize=True,
    database=None,
    phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],  # do not shrink failures: one is enough
)


@dataclass(frozen=True, order=True)
class Fault:
    """A fault: its function, and the lines before and after."""

    function: str
    change: str

    def __str__(self) -> str:
        return f"{self.function}: {self.change}"


@dataclass(frozen=True)
class Mutated:
    """A module's code with all of its faults, and each fault by the name of its function in that code."""

    code: str
    faults: Mapping[str, Fault]


def mutated(source: str) -> Mutated:
    """Return the module with every fault that mutmut can make in it."""
    file = mutate_file_contents("module.py", plain_properties(source))
    lines = file.code.splitlines()

    def text(function: str) -> list[str]:
        span = file.line_span_by_function_name[function]
        return [line.replace(function, "f").strip() for line in lines[span.start - 1 : span.end]]

    faults = {}
    for name in file.mutant_names:
        mangled = name.partition("__mutmut_")[0]
        changed = list(difflib.ndiff(text(mangled + ORIGINAL), text(name)))
        before, after = (" ".join(line[2:] for line in changed if line.startswith(f"{sign} ")) for sign in "-+")
        function = ".".join(part for part in mangled.removeprefix("x_").removeprefix("x").split("ǁ") if part)
        faults[name] = Fault(function, f"{before} => {after}")
    return Mutated(file.code, faults)


def plain_properties(source: str) -> str:
    """Rewrite ``@property`` as a method and an assignment after it: mutmut skips decorated functions."""
    lines = source.splitlines()
    functions = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)]
    for node in sorted(functions, key=lambda node: node.lineno, reverse=True):
        if [ast.unparse(item) for item in node.decorator_list] == ["property"]:
            lines.insert(node.end_lineno or 0, f"{' ' * node.col_offset}{node.name} = property({node.name})")
            del lines[node.decorator_list[0].lineno - 1]
    return "\n".join(lines) + "\n"


class Trial:
    """A pytest plugin that tries each fault with the tests that call its function. It replaces the ordinary run."""

    def __init__(self, module: str, names: Sequence[str]) -> None:
        self._module = module
        self._names = names
        self.undetected: list[str] = []
        self.sound = False

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        tests_by_function = self._find_tests(session.items)
        if tests_by_function is None or not self._pass_when_forked(tests_by_function.values()):
            return True
        self.sound = True
        for number, name in enumerate(self._names, 1):
            tests = tests_by_function.get(f"{self._module}.{name.partition('__mutmut_')[0]}", [])
            if not self._detects(f"{self._module}.{name}", tests):
                self.undetected.append(name)
            if number % 10 == 0 or number == len(self._names):
                print(f"{number} of {len(self._names)} faults, {len(self.undetected)} not detected", file=sys.stderr)
        return True

    @staticmethod
    def _find_tests(items: Sequence[pytest.Item]) -> dict[str, list[tuple[float, pytest.Item]]] | None:
        """Run the tests without a fault. Return those that call each function, quickest first; None if a test fails."""
        set_mutant_under_test("stats")
        found: dict[str, list[tuple[float, pytest.Item]]] = {}
        for item in items:
            state()._stats.clear()
            begin = time.process_time()
            if failed(item):
                print(f"{item.nodeid} fails without a fault. Next: tests/run.sh '{item.nodeid}'", file=sys.stderr)
                return None
            test = (time.process_time() - begin, item)
            for function in state()._stats:
                found.setdefault(function, []).append(test)
        return {function: sorted(tests, key=lambda test: test[0]) for function, tests in found.items()}

    @classmethod
    def _pass_when_forked(cls, tests_by_function: Iterable[Sequence[tuple[float, pytest.Item]]]) -> bool:
        """Return whether each test passes without a fault in a forked process. One that fails detects any fault."""
        for test in sorted({test for tests in tests_by_function for test in tests}, key=lambda test: test[0]):
            if cls._detects(NO_FAULT, [test]):
                print(
                    f"{test[1].nodeid} fails in a forked process without a fault. "
                    "Next: compute in the test what depends on the process, for example its id",
                    file=sys.stderr,
                )
                return False
        return True

    @staticmethod
    def _detects(mutant: str, tests: list[tuple[float, pytest.Item]]) -> bool:
        """Return whether a test fails, and move it to the front: it often detects the next fault too."""
        child = os.fork()
        if not child:
            limit = int(CPU_SECONDS + 3 * sum(seconds for seconds, _ in tests)) + 1
            resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))
            set_mutant_under_test(mutant)
            try:
                os._exit(next((min(number, UNKNOWN) for number, (_, item) in enumerate(tests, 1) if failed(item)), 0))
            finally:
                os._exit(UNKNOWN)
        deadline = time.monotonic() + SECONDS
        while True:
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                if 0 < (number := os.waitstatus_to_exitcode(status)) < UNKNOWN:
                    tests.insert(0, tests.pop(number - 1))
                return status != 0
            if time.monotonic() > deadline:
                os.kill(child, signal.SIGKILL)
            time.sleep(0.005)


def failed(item: pytest.Item) -> bool:
    """Run one test, including its teardown, and return whether it failed."""
    return any(report.failed for report in runtestprotocol(item, log=False, nextitem=None))


def modules() -> dict[str, dict[str, str]]:
    return tomllib.loads((HERE / "modules.toml").read_text())


def accepted(module: str) -> dict[Fault, str]:
    """Return the faults of a module that may stay undetected, each with its reason."""
    entries: list[dict[str, str]] = tomllib.loads((HERE / "survivors.toml").read_text()).get(module, [])
    return {Fault(entry["function"], entry["change"]): entry["reason"] for entry in entries}


def run(name: str, *, again: bool = False) -> int:
    """Try and report one module's faults. Return 0 if enough are detected and each other one has a reason.

    ``again``: leave out those that the last run detected, which count as detected.
    """
    source, tests = (modules()[name][key] for key in ("source", "tests"))
    module = mutated(Path(source).read_text())
    last = WORK / f"{name}.json"
    done = {Fault(*fault) for fault in json.loads(last.read_text())} if again and last.exists() else set()
    names = [mutant for mutant, fault in module.faults.items() if fault not in done]
    shutil.rmtree(WORK / name, ignore_errors=True)
    shutil.copytree("src", WORK / name / "src")
    (WORK / name / source).write_text(module.code)
    trial = Trial(source.removeprefix("src/").removesuffix(".py").replace("/", "."), names)
    paths = f"pythonpath={WORK / name / 'src'} . app/api app/bots"
    options = ["-q", "--assert=plain", "--hypothesis-profile=mutation", "-p", "no:cacheprovider", "-o", paths]
    pytest.main([*options, tests], plugins=[trial])
    if not trial.sound:
        return 1
    undetected = [module.faults[name] for name in trial.undetected]
    detected = set(module.faults.values()) - set(undetected)
    last.write_text(json.dumps([[fault.function, fault.change] for fault in sorted(detected)], indent=1))
    return report(name, len(module.faults), undetected)


def report(name: str, total: int, undetected: Sequence[Fault]) -> int:
    reasons = accepted(name)
    unexplained = [fault for fault in undetected if fault not in reasons]
    detected = total - len(undetected)
    share = 100.0 * detected / max(1, total)
    print(f"{name}: {share:.1f} %: {detected} of {total} faults detected, {len(unexplained)} others have no reason")
    for fault in sorted(unexplained):
        print(f"  not detected: {fault}")
    stale = sorted(set(reasons) - set(undetected))
    for fault in stale:
        print(f"  in survivors.toml, but detected or gone: {fault}")
    if share >= FLOOR and not unexplained and not stale:
        return 0
    print(
        f"The tests must detect {FLOOR:g} % of a module's faults, and tests/mutation/survivors.toml must give a reason "
        "for each other one. Next: choose values in the fixtures that differ or are at a threshold"
    )
    return 1


def main(arguments: Sequence[str]) -> int:
    options = [item for item in arguments if item == "--again"]
    names = [item for item in arguments if item not in options]
    known = modules()
    if unknown := [name for name in names if name not in known]:
        print(f"No such module: {', '.join(unknown)}. Known: {', '.join(known)}. Next: make mutation ONLY='<module …>'")
        return 2
    if len(names) == 1:
        return run(names[0], again=bool(options))
    command = [sys.executable, "-m", "tests.mutation", *options]
    each = [subprocess.run([*command, name]).returncode for name in names or known]
    return max(each)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

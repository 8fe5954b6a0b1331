"""Put faults into the riskiest modules, one at a time, and report those that the modules' unit tests do not notice.

The faults are mutmut's (https://mutmut.readthedocs.io/): another operator, constant, argument or text in a function.
All faults of a module stand side by side in one file. Each is tried in a process of its own, forked from one that has
imported everything: to start pytest for each of hundreds of faults would take hours.
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
from collections.abc import Mapping, Sequence
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
#: So much of a module's faults has to be noticed, in per cent.
FLOOR = 90.0
#: What one fault may take: CPU seconds beside three times those of its tests, and seconds in all.
CPU_SECONDS = 5.0
SECONDS = 300.0
ORIGINAL = "__mutmut_orig"

hypothesis.settings.register_profile(
    "mutation",
    deadline=None,
    derandomize=True,
    database=None,
    phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],  # a failure is enough: it is not made small
)


@dataclass(frozen=True, order=True)
class Fault:
    """Where it is, and the lines before and after."""

    function: str
    change: str

    def __str__(self) -> str:
        return f"{self.function}: {self.change}"


@dataclass(frozen=True)
class Mutated:
    """A module with all of its faults: the code, and each fault by the name of its function in the code."""

    code: str
    faults: Mapping[str, Fault]


def mutated(source: str) -> Mutated:
    """Return the module with every fault that mutmut makes in it."""
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
    """Write ``@property`` as a method and an assignment after it: mutmut leaves decorated functions alone."""
    lines = source.splitlines()
    functions = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)]
    for node in sorted(functions, key=lambda node: node.lineno, reverse=True):
        if [ast.unparse(item) for item in node.decorator_list] == ["property"]:
            lines.insert(node.end_lineno or 0, f"{' ' * node.col_offset}{node.name} = property({node.name})")
            del lines[node.decorator_list[0].lineno - 1]
    return "\n".join(lines) + "\n"


class Trial:
    """A plugin of pytest that tries each fault with the tests that come by it, instead of running the tests once."""

    def __init__(self, module: str, names: Sequence[str]) -> None:
        self._module = module
        self._names = names
        self.unnoticed: list[str] = []
        self.sound = False

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        passes = self._find_tests(session.items)
        if passes is None:
            return True
        self.sound = True
        for number, name in enumerate(self._names, 1):
            tests = passes.get(f"{self._module}.{name.partition('__mutmut_')[0]}", [])
            if not self._notices(f"{self._module}.{name}", tests):
                self.unnoticed.append(name)
            if number % 10 == 0 or number == len(self._names):
                print(f"{number} of {len(self._names)} faults, {len(self.unnoticed)} not noticed", file=sys.stderr)
        return True

    @staticmethod
    def _find_tests(items: Sequence[pytest.Item]) -> dict[str, list[tuple[float, pytest.Item]]] | None:
        """Run the tests without a fault: which ones come by a function, the quickest first; None when one fails."""
        set_mutant_under_test("stats")
        passes: dict[str, list[tuple[float, pytest.Item]]] = {}
        for item in items:
            state()._stats.clear()
            begin = time.process_time()
            if failed(item):
                print(f"{item.nodeid} fails without a fault. Next: tests/run.sh '{item.nodeid}'", file=sys.stderr)
                return None
            for function in state()._stats:
                passes.setdefault(function, []).append((time.process_time() - begin, item))
        return {function: sorted(tests, key=lambda test: test[0]) for function, tests in passes.items()}

    @staticmethod
    def _notices(mutant: str, tests: Sequence[tuple[float, pytest.Item]]) -> bool:
        child = os.fork()
        if not child:
            limit = int(CPU_SECONDS + 3 * sum(seconds for seconds, _ in tests)) + 1
            resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))
            set_mutant_under_test(mutant)
            try:
                os._exit(any(failed(item) for _, item in tests))
            finally:
                os._exit(1)
        deadline = time.monotonic() + SECONDS
        while True:
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                return status != 0
            if time.monotonic() > deadline:
                os.kill(child, signal.SIGKILL)
            time.sleep(0.005)


def failed(item: pytest.Item) -> bool:
    """Run one test, and tear down all that it set up."""
    return any(report.failed for report in runtestprotocol(item, log=False, nextitem=None))


def modules() -> dict[str, dict[str, str]]:
    return tomllib.loads((HERE / "modules.toml").read_text())


def accepted(module: str) -> dict[Fault, str]:
    """The faults of a module that may stay unnoticed, each with its reason."""
    entries: list[dict[str, str]] = tomllib.loads((HERE / "survivors.toml").read_text()).get(module, [])
    return {Fault(entry["function"], entry["change"]): entry["reason"] for entry in entries}


def run(name: str) -> int:
    """Try one module's faults, and report; 0 when enough are noticed and each other one has its reason."""
    source, tests = (modules()[name][key] for key in ("source", "tests"))
    module = mutated(Path(source).read_text())
    shutil.rmtree(WORK / name, ignore_errors=True)
    shutil.copytree("src", WORK / name / "src")
    (WORK / name / source).write_text(module.code)
    trial = Trial(source.removeprefix("src/").removesuffix(".py").replace("/", "."), list(module.faults))
    paths = f"pythonpath={WORK / name / 'src'} . app/api app/bots"
    options = ["-q", "--assert=plain", "--hypothesis-profile=mutation", "-p", "no:cacheprovider", "-o", paths]
    pytest.main([*options, tests], plugins=[trial])
    if not trial.sound:
        return 1
    unnoticed = [module.faults[name] for name in trial.unnoticed]
    (WORK / f"{name}.json").write_text(json.dumps([[fault.function, fault.change] for fault in unnoticed], indent=1))
    return report(name, len(module.faults), unnoticed)


def report(name: str, total: int, unnoticed: Sequence[Fault]) -> int:
    reasons = accepted(name)
    unexplained = [fault for fault in unnoticed if fault not in reasons]
    noticed = total - len(unnoticed)
    share = 100.0 * noticed / max(1, total)
    print(f"{name}: {share:.1f} %: {noticed} of {total} faults noticed, {len(unexplained)} neither that nor explained")
    for fault in sorted(unexplained):
        print(f"  not noticed: {fault}")
    stale = sorted(set(reasons) - set(unnoticed))
    for fault in stale:
        print(f"  in survivors.toml, and noticed or not there: {fault}")
    if share >= FLOOR and not unexplained and not stale:
        return 0
    print(
        f"Every module has to notice {FLOOR:g} %, and tests/mutation/survivors.toml to give a reason for each other "
        "fault. Next: make the values in the fixtures differ, or stand at the threshold"
    )
    return 1


def main(names: Sequence[str]) -> int:
    known = modules()
    if unknown := [name for name in names if name not in known]:
        print(f"No such module: {', '.join(unknown)}. Known: {', '.join(known)}. Next: make mutation ONLY='<module …>'")
        return 2
    if len(names) == 1:
        return run(names[0])
    each = [subprocess.run([sys.executable, "-m", "tests.mutation", name]).returncode for name in names or known]
    return max(each)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

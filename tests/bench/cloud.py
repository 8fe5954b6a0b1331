"""The local cloud of the benchmarks of playbooks, separate from the developer's."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.e2e.conftest import Clone, make_clone


@contextmanager
def local_cloud() -> Iterator[Clone]:
    """Deploy a clone of this repository; destroy it at the end, even after a failure."""
    with tempfile.TemporaryDirectory(prefix="settlement-bench-") as folder:
        clone = make_clone(Path(folder) / "clone")
        try:
            print(f"  creating a local cloud in {clone.path} (some minutes)", flush=True)
            clone.make("deploy")
            yield clone
        finally:
            clone.make("down", expect=None)


_shared: list[Clone] = []


def shared_cloud(stack: ExitStack) -> Clone:
    """Return the one cloud of all benchmarks of a run, which lives until `stack` is closed."""
    if not _shared:
        _shared.append(stack.enter_context(local_cloud()))
    return _shared[0]

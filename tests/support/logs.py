"""What playbooks logged."""

from __future__ import annotations

from pathlib import Path


class Logs:
    """The logs that playbooks write below a checkout from now on."""

    def __init__(self, checkout: Path) -> None:
        self._checkout = checkout
        self._before = self._found()

    def read(self) -> str:
        return "".join(path.read_text() for path in sorted(self._found() - self._before))

    def _found(self) -> set[Path]:
        return set(self._checkout.glob(".local/*/log/*.log"))

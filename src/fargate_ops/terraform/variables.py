"""The variables that a Terraform root declares."""

from __future__ import annotations

import re
from pathlib import Path

#: In the layout of ``terraform fmt``: the arguments of a variable are indented by two spaces.
_REQUIRED = re.compile(r'^variable "(\w+)" \{\n(?:  (?!default ).*\n|\n)*\}', re.MULTILINE)


def required(root: Path) -> list[str]:
    """Return the names of the variables that have no default, in the order of ``variables.tf``."""
    return _REQUIRED.findall((root / "variables.tf").read_text(encoding="utf-8"))

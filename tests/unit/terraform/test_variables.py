"""The variables of a root that have no default, in the order of variables.tf."""

from pathlib import Path

import pytest

from fargate_ops.terraform.variables import required
from tests.terraform.configuration import ROOTS, variables

ROOT = """\
# --- sizes ---

variable "size" {
  description = "A default is given elsewhere."
  type = object({
    default = optional(number)
  })

  validation {
    condition     = var.size.default != 1
    error_message = "size must not be 1."
  }
}

variable "note" {
  type    = string
  default = null
}

variable "zones" {
  default = {
    a = 1
  }
}

variable "last" {
}
"""


def test_what_has_a_default_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "variables.tf").write_text(ROOT)
    assert required(tmp_path) == ["size", "last"]


@pytest.mark.parametrize("root", ROOTS)
def test_it_reads_the_roots_as_a_parser_does(root: str) -> None:
    declared = variables(ROOTS[root])
    assert required(ROOTS[root]) == [name for name, body in declared.items() if "default" not in body]

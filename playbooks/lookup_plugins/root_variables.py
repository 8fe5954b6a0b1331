"""The values of a Terraform root's variables. See DOCUMENTATION."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.plugins.loader import lookup_loader
from ansible.plugins.lookup import LookupBase

from fargate_ops.terraform.variables import required

DOCUMENTATION = r"""
name: root_variables
short_description: The values of a Terraform root's variables
description:
  - Each variable without a default takes the value of Ansible's variable of the same name, a setting of the inventory.
options:
  _terms: {description: The folder of the root., required: true}
  derived: {description: The values of the variables that are no setting, type: dict, required: true}
"""

EXAMPLES = r"""
terraform_variables: "{{ lookup('root_variables', project_dir ~ '/terraform', derived=terraform_derived) }}"
"""

RETURN = r"""
_value: {description: One map of values by the name of the variable, type: list, elements: dict}
"""


class LookupModule(LookupBase):
    def run(self, terms: list[str], variables: Mapping[str, Any] | None = None, **kwargs: Any) -> list[dict[str, Any]]:
        self.set_options(var_options=variables, direct=kwargs)
        derived = self.get_option("derived")
        names = [name for name in required(Path(terms[0])) if name not in derived]
        settings = lookup_loader.get("ansible.builtin.vars", loader=self._loader, templar=self._templar)
        return [dict(zip(names, settings.run(names, variables), strict=True)) | derived]

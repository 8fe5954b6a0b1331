"""An environment as Terraform renders it: resources' attributes, from `terraform test` with the mocked provider."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.terraform.terraform import copy_source, run_terraform

# The mocked provider answers for AWS, so that everything is known, as after a real apply.
_TEST = """
mock_provider "aws" {{
  source = "./tests/mocks"
}}

# Two topics and two target groups that the mocks alone would not tell apart.
override_resource {{
  target = module.notifications.aws_sns_topic.this["urgent"]
  values = {{ arn = "arn:aws:sns:ap-northeast-2:123456789012:urgent" }}
}}

override_resource {{
  target = module.notifications.aws_sns_topic.this["warning"]
  values = {{ arn = "arn:aws:sns:ap-northeast-2:123456789012:warning" }}
}}

override_resource {{
  target = module.alb.aws_lb_target_group.this["alt"]
  values = {{
    arn        = "arn:aws:elasticloadbalancing:ap-northeast-2:123456789012:targetgroup/alt/0123456789abcdef"
    arn_suffix = "targetgroup/alt/0123456789abcdef"
  }}
}}

variables {{
{variables}
}}

run "rendered" {{}}
"""


@dataclass(frozen=True)
class Rendered:
    """Attributes of each resource by its address, and the root's outputs."""

    resources: Mapping[str, Mapping[str, Any]]
    outputs: Mapping[str, Any]

    def of_type(self, kind: str) -> dict[str, Mapping[str, Any]]:
        """The resources of one type, by address."""
        return {address: values for address, values in self.resources.items() if f"{kind}." in address}


def render(directory: Path, **variables: Any) -> Rendered:
    """The environment's root in a copy below `directory`, with these variables.

    Raises:
        TerraformError: it cannot be planned or applied.
    """
    root = copy_source(directory, "*.tftest.hcl")
    text = "\n".join(f"  {name} = {json.dumps(value)}" for name, value in variables.items())
    (root / "tests" / "rendered.tftest.hcl").write_text(_TEST.format(variables=text))
    run_terraform(root, "init", "-backend=false", "-input=false")
    lines = run_terraform(root, "test", "-json", "-verbose").splitlines()
    (state,) = (line["test_state"] for line in map(json.loads, lines) if line["type"] == "test_state")
    return Rendered(
        resources=dict(_resources(state["root_module"])),
        outputs={name: output["value"] for name, output in state["outputs"].items()},
    )


def _resources(module: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for resource in module.get("resources", []):
        if resource["mode"] == "managed":
            yield resource["address"], resource["values"]
    for child in module.get("child_modules", []):
        yield from _resources(child)

"""Provide Terraform, and write the CLI configuration with the source of its provider."""

from __future__ import annotations

from typing import Any

from fargate_ops.core.problem import ProblemError
from fargate_ops.plugin.action import OperationsAction
from fargate_ops.terraform.toolchain import Request, look, provide

DOCUMENTATION = r"""
module: toolchain
short_description: Provide Terraform and the source of its provider
description:
  - Uses the first C(terraform) on PATH that O(required_version) allows, otherwise a cached download. If there is none,
    downloads the pinned release and verifies its SHA-256.
  - Writes a CLI configuration that installs the AWS provider from a mirror directory on this machine if one has a
    version that O(provider_version) allows, and from the registry otherwise.
  - Writes only below O(cache_dir) and O(work_dir), also in check mode, because the next plan needs both.
options:
  state:
    description: V(checked) changes nothing, and returns a finding instead of a failure.
    type: str
    choices: [present, checked]
    default: present
  required_version: {type: str, required: true, description: "Version constraint, as C(>= 1.11) or C(1.14.0)."}
  provider_version: {type: str, required: true, description: "Constraint of C(hashicorp/aws)."}
  work_dir: {type: path, required: true, description: "Folder of the environment's generated files."}
  cache_dir: {type: path, required: true, description: "Folder of downloads, shared by all environments."}
  download_version: {type: str, required: true, description: "The release to download if PATH has no suitable one."}
  download_sha256: {type: dict, required: true, description: "SHA-256 of its archives by platform (C(linux_amd64))."}
  releases_url: {type: str, required: true, description: "Address of the releases."}
  registry_url: {type: str, required: true, description: "The provider registry."}
  mirror_directories: {type: list, elements: str, required: true, description: "Possible mirrors; globs allowed."}
  cli_config_file: {type: str, required: true, description: "Your own CLI configuration; empty to generate one."}
"""

EXAMPLES = r"""
- name: Provide Terraform
  toolchain:
    required_version: ">= 1.11"
    provider_version: ">= 5.100, < 7.0"
    work_dir: .local/staging
    cache_dir: .local/bin
    download_version: 1.14.0
    download_sha256: {linux_amd64: 33ac2174…}
    releases_url: https://releases.hashicorp.com
    registry_url: https://registry.terraform.io
    mirror_directories: ["~/.terraform.d/plugins"]
    cli_config_file: ""
"""

RETURN = r"""
findings:
  description: With V(checked), the finding as the role preflight takes it.
  type: list
  elements: dict
toolchain:
  description: The fact C(toolchain_result) of the role.
  type: dict
  returned: success
  contains:
    terraform_path: {type: str, description: "Absolute path of the binary."}
    terraform_version: {type: str, description: "Version of the binary."}
    provider_source: {type: str, description: "Mirror directory or registry."}
    provider_version: {type: str, description: "Newest suitable version of the mirror, or the exact one declared."}
    environment: {type: dict, description: "Environment of every terraform call."}
"""


class ActionModule(OperationsAction):
    def execute(self, args: dict[str, Any]) -> dict[str, Any]:
        if args.pop("state") == "checked":
            finding: dict[str, Any] = {"check": "terraform", "summary": "not available", "problems": []}
            try:
                finding["summary"] = look(Request(**args))
            except ProblemError as error:
                finding["problems"] = [error.problem.to_result()]
            return {"findings": [finding]}
        downloaded, toolchain = provide(Request(**args), self.say)
        return {"changed": downloaded, "toolchain": toolchain}

"""Find or fetch Terraform, and write the CLI configuration that says where its provider comes from."""

from __future__ import annotations

from typing import Any

from fargate_ops.plugin.action import OperationsAction
from fargate_ops.terraform.toolchain import Request, provide

DOCUMENTATION = r"""
module: toolchain
short_description: Provide Terraform and its provider's source
description:
  - Uses the first C(terraform) on PATH that O(required_version) allows, then a cached download, else downloads the
    pinned release and verifies its SHA-256.
  - Writes a CLI configuration that installs the AWS provider from a mirror directory on this machine when one holds a
    version that O(provider_version) allows, and from the registry otherwise.
  - Writes only below O(cache_dir) and O(work_dir), in check mode as well, since the plan that follows needs both.
options:
  required_version: {type: str, required: true, description: "Terraform constraint, C(>= 1.11) or C(1.14.0)."}
  provider_version: {type: str, required: true, description: "Constraint of C(hashicorp/aws)."}
  work_dir: {type: path, required: true, description: "Generated files of this environment; C(terraform.rc) goes here."}
  cache_dir: {type: path, required: true, description: "Downloads shared by all environments."}
  download_version: {type: str, required: true, description: "The release to download."}
  download_sha256: {type: dict, required: true, description: "SHA-256 of its archive by platform (C(linux_amd64))."}
  releases_url: {type: str, required: true, description: "Where releases are served."}
  registry_url: {type: str, required: true, description: "The provider registry, asked whether it answers."}
  mirror_directories: {type: list, elements: str, required: true, description: "Where a mirror may be; globs allowed."}
  cli_config_file: {type: str, required: true, description: "The CLI configuration to use; empty: one is written."}
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
toolchain:
  description: What the role publishes as the fact C(toolchain_result).
  type: dict
  returned: success
  contains:
    terraform_path: {type: str, description: "Absolute path of the binary."}
    terraform_version: {type: str, description: "What it says it is."}
    provider_source: {type: str, description: "Mirror directory or registry."}
    provider_version: {type: str, description: "Newest suitable one of the mirror, or the exact one declared."}
    environment: {type: dict, description: "Environment of every terraform call."}
"""


class ActionModule(OperationsAction):
    def execute(self, args: dict[str, Any]) -> dict[str, Any]:
        downloaded, toolchain = provide(Request(**args), self.say)
        return {"changed": downloaded, "toolchain": toolchain}

"""Find or fetch Terraform, and write the CLI configuration that says where its provider comes from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.utils.display import Display

from fargate_ops.core.problem import ProblemError
from fargate_ops.plugin.action import OperationsAction
from fargate_ops.terraform import binary as terraform
from fargate_ops.terraform import provider as providers
from fargate_ops.terraform.version import Constraint, Version

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
  cli_config_file: {type: str, default: "", description: "Use this CLI configuration instead of writing one."}
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
    """See DOCUMENTATION."""

    documentation = DOCUMENTATION

    def execute(self, args: dict[str, Any]) -> dict[str, Any]:
        try:
            return _provide(args)
        except ValueError as error:
            return {"failed": True, "msg": str(error)}


def _provide(args: dict[str, Any]) -> dict[str, Any]:
    say = Display().display
    cache_dir, work_dir = Path(args["cache_dir"]).absolute(), Path(args["work_dir"]).absolute()
    binary, downloaded = terraform.provide(
        Constraint.parse(args["required_version"]),
        terraform.Download(
            version=Version.parse(args["download_version"]),
            releases_url=args["releases_url"],
            sha256=args["download_sha256"],
            cache_dir=cache_dir,
        ),
        search_path=terraform.default_search_path(),
        say=say,
    )
    config, source, version = _provider_source(args, work_dir, cache_dir / "providers")
    say(f"terraform {binary.version} ({binary.path}); provider from {source}")
    return {
        "changed": downloaded,
        "toolchain": {
            "terraform_path": str(binary.path),
            "terraform_version": str(binary.version),
            "provider_source": source,
            "provider_version": version,
            "environment": {
                "TF_CLI_CONFIG_FILE": str(config),
                "TF_IN_AUTOMATION": "1",
                "TF_INPUT": "0",
                "CHECKPOINT_DISABLE": "1",
                # Reading the provider's schema makes much garbage: a fifth less time for 50 MiB more (a Go setting).
                "GOGC": "400",
            },
        },
    }


def _provider_source(args: dict[str, Any], work_dir: Path, plugin_cache: Path) -> tuple[Path, str, str]:
    """The CLI configuration's path, a name for the source, and the provider's version as far as it is known."""
    if args["cli_config_file"]:
        config = Path(args["cli_config_file"]).expanduser().absolute()
        if not config.is_file():
            raise ProblemError("There is no such CLI configuration.", str(config), "correct toolchain_cli_config_file")
        return config, f"the CLI configuration {config}", ""
    provider = providers.Provider("hashicorp", "aws", terraform.current_platform())
    constraint = Constraint.parse(args["provider_version"])
    source = providers.choose(provider, constraint, args["mirror_directories"])
    if source.mirror is None:
        providers.require_reachable(provider, constraint, plugin_cache, args["registry_url"])
        plugin_cache.mkdir(parents=True, exist_ok=True)  # terraform refuses a cache that does not exist
    work_dir.mkdir(parents=True, exist_ok=True)
    config = work_dir / "terraform.rc"
    config.write_text(providers.cli_config(provider, source, plugin_cache), encoding="utf-8")
    return config, str(source), str(source.version or "")

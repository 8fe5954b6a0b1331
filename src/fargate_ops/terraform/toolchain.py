"""Provide Terraform, and write the CLI configuration with the source of its provider."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fargate_ops.core.problem import ProblemError
from fargate_ops.terraform import binary as terraform
from fargate_ops.terraform import provider as providers
from fargate_ops.terraform.version import Constraint, Version


@dataclass(frozen=True, kw_only=True)
class Request:
    """The arguments of the action ``toolchain``."""

    required_version: str
    provider_version: str
    work_dir: str
    cache_dir: str
    download_version: str
    download_sha256: Mapping[str, str]
    releases_url: str
    registry_url: str
    mirror_directories: Sequence[str]
    cli_config_file: str


def provide(request: Request, say: Callable[[str], None]) -> tuple[bool, dict[str, Any]]:
    """Return whether Terraform was downloaded, and the fact ``toolchain_result``.

    Raises:
        VersionError: a version or a constraint is malformed.
        ProblemError: Terraform or its provider is not available.
    """
    binary, downloaded = terraform.provide(
        Constraint.parse(request.required_version),
        _download(request),
        search_path=terraform.default_search_path(),
        say=say,
    )
    config, source, version = _provider_source(request)
    say(f"terraform {binary.version} ({binary.path}); provider from {source}")
    return downloaded, {
        "terraform_path": str(binary.path),
        "terraform_version": str(binary.version),
        "provider_source": source,
        "provider_version": version,
        "environment": {
            "TF_CLI_CONFIG_FILE": str(config),
            "TF_IN_AUTOMATION": "1",
            "TF_INPUT": "0",
            "CHECKPOINT_DISABLE": "1",
            # Terraform creates much garbage when it reads the provider's schema. This setting of Go's garbage collector
            # saves a fifth of the time and uses 50 MiB more.
            "GOGC": "400",
        },
    }


def look(request: Request) -> str:
    """Return which Terraform and which source of its provider `provide` would return. Changes nothing.

    Raises:
        VersionError: a version or a constraint is malformed.
        ProblemError: Terraform or its provider is not available.
    """
    constraint = Constraint.parse(request.required_version)
    binary = terraform.look(constraint, _download(request), terraform.default_search_path())
    config = _own_configuration(request)
    source = f"the CLI configuration {config}" if config else str(_source(request)[1])
    return f"{binary}; provider from {source}"


def _download(request: Request) -> terraform.Download:
    return terraform.Download(
        version=Version.parse(request.download_version),
        releases_url=request.releases_url,
        sha256=request.download_sha256,
        cache_dir=Path(request.cache_dir).absolute(),
    )


def _plugin_cache(request: Request) -> Path:
    return Path(request.cache_dir).absolute() / "providers"


def _own_configuration(request: Request) -> Path | None:
    if not request.cli_config_file:
        return None
    config = Path(request.cli_config_file).expanduser().absolute()
    if not config.is_file():
        raise ProblemError("There is no such CLI configuration.", str(config), "correct toolchain_cli_config_file")
    return config


def _source(request: Request) -> tuple[providers.Provider, providers.Source]:
    provider = providers.Provider("hashicorp", "aws", terraform.current_platform())
    constraint = Constraint.parse(request.provider_version)
    source = providers.choose(provider, constraint, request.mirror_directories)
    if source.mirror is None:
        providers.require_reachable(provider, constraint, _plugin_cache(request), request.registry_url)
    return provider, source


def _provider_source(request: Request) -> tuple[Path, str, str]:
    """Return the CLI configuration's path, a name of the source, and the provider's version, empty if unknown."""
    if own := _own_configuration(request):
        return own, f"the CLI configuration {own}", ""
    provider, source = _source(request)
    plugin_cache = _plugin_cache(request)
    if source.mirror is None:
        plugin_cache.mkdir(parents=True, exist_ok=True)  # Terraform refuses a cache that does not exist
    config = Path(request.work_dir).absolute() / "terraform.rc"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text(providers.cli_config(provider, source, plugin_cache), encoding="utf-8")
    return config, str(source), str(source.version or "")

"""Choose the source of Terraform's provider: a mirror on this machine that has the version, else the registry.

Layouts of a mirror: https://developer.hashicorp.com/terraform/cli/config/config-file#filesystem_mirror
"""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from fargate_ops.core.problem import ProblemError
from fargate_ops.terraform.version import Constraint, Version

REGISTRY = "registry.terraform.io"
_PROBE_TIMEOUT_SECONDS = 5


@dataclass(frozen=True)
class Provider:
    """The one provider of this repository, ``hashicorp/aws``, on one platform (``linux_amd64``)."""

    namespace: str
    type: str
    platform: str

    @property
    def address(self) -> str:
        return f"{REGISTRY}/{self.namespace}/{self.type}"

    def versions_in(self, mirror: Path) -> Iterator[Version]:
        """Return the versions in the directory `mirror` for this platform, packed or unpacked."""
        root = mirror / self.address
        for unpacked in root.glob(f"*/{self.platform}/terraform-provider-{self.type}*"):
            yield from _versions(unpacked.parent.parent.name)
        packed = re.compile(
            rf"terraform-provider-{re.escape(self.type)}_(?P<version>.+)_{re.escape(self.platform)}\.zip"
        )
        for archive in root.glob("*.zip"):
            if match := packed.fullmatch(archive.name):
                yield from _versions(match["version"])


def _versions(text: str) -> Iterator[Version]:
    try:
        yield Version.parse(text)
    except ValueError:
        return


@dataclass(frozen=True)
class Source:
    """A mirror's directory and the newest suitable version in it; no mirror means the registry."""

    mirror: Path | None
    version: Version | None

    def __str__(self) -> str:
        return f"mirror {self.mirror}" if self.mirror else f"registry {REGISTRY}"


def mirrors(places: Iterable[str]) -> Iterator[Path]:
    """Return the directories among `places` that are a mirror (``~`` and globs allowed, in order, each once)."""
    seen = set()
    for place in places:
        if not place:
            continue
        absolute = Path(place).expanduser().absolute()
        for path in sorted(Path(absolute.anchor).glob(str(absolute.relative_to(absolute.anchor)))):
            if path not in seen and (path / REGISTRY).is_dir():
                seen.add(path)
                yield path


def choose(provider: Provider, constraint: Constraint, places: Iterable[str]) -> Source:
    """Return the first mirror with a version that `constraint` allows."""
    for mirror in mirrors(places):
        if suitable := [v for v in provider.versions_in(mirror) if constraint.allows(v)]:
            return Source(mirror, max(suitable))
    return Source(None, constraint.exact)


def require_reachable(provider: Provider, constraint: Constraint, cache: Path, registry_url: str) -> None:
    """Refuse early if the provider is neither in the plugin cache nor in the registry.

    `terraform init` would refuse as well, but only after other changes.
    """
    if any(constraint.allows(version) for version in provider.versions_in(cache)):
        return
    url = f"{registry_url.rstrip('/')}/.well-known/terraform.json"
    try:
        with urllib.request.urlopen(url, timeout=_PROBE_TIMEOUT_SECONDS):  # noqa: S310 - a fixed https address
            return
    except urllib.error.HTTPError:
        return  # it answers; Terraform checks whether it has this provider
    except (OSError, ValueError) as error:
        raise ProblemError(
            f"Provider {provider.namespace}/{provider.type} {constraint} is in no mirror on this machine, "
            f"and the registry does not answer: {getattr(error, 'reason', error)}.",
            url,
            "on a machine with access run `terraform providers mirror <directory>` in terraform/, copy it here and set "
            "TF_PLUGIN_DIR=<directory>; or set toolchain_cli_config_file to a CLI configuration of your own",
        ) from error


def cli_config(provider: Provider, source: Source, cache: Path) -> str:
    """Return Terraform's CLI configuration (HCL) for `source`."""
    header = "# Written by roles/toolchain on every run; edits are lost.\ndisable_checkpoint = true\n"
    if source.mirror is None:
        return f"{header}plugin_cache_dir   = {_quoted(cache)}\n"
    return (
        f"{header}provider_installation {{\n"
        f"  filesystem_mirror {{\n    path    = {_quoted(source.mirror)}\n"
        f"    include = [{_quoted(provider.address)}]\n  }}\n"
        f"  direct {{\n    exclude = [{_quoted(provider.address)}]\n  }}\n}}\n"
    )


def _quoted(value: str | Path) -> str:
    """Return an HCL string, with quotes, backslashes and template openers escaped."""
    escaped = str(value).replace("\\", "\\\\").replace('"', '\\"').replace("${", "$${").replace("%{", "%%{")
    return f'"{escaped}"'

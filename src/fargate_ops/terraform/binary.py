"""Find a Terraform that satisfies a constraint, or download the pinned one and verify it.

The archive's SHA-256 is pinned in the role's defaults, so this repository is trusted, not the
download server: a digest in the repository is stronger than a signature checked against a key fetched beside it.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from fargate_ops.core.lines import Progress
from fargate_ops.core.problem import ProblemError
from fargate_ops.terraform.launcher import terraform_environment
from fargate_ops.terraform.version import Constraint, Version

_ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
_DOWNLOAD_TIMEOUT_SECONDS = 30  # of silence, not of the whole download
_PROBE_TIMEOUT_SECONDS = 5
_PROGRESS_SECONDS = 3


@dataclass(frozen=True)
class Terraform:
    path: Path
    version: Version


@dataclass(frozen=True)
class Download:
    """The pinned release: its address, and the SHA-256 of its archive by platform (``linux_amd64``)."""

    version: Version
    releases_url: str
    sha256: Mapping[str, str]
    cache_dir: Path

    @property
    def cached_path(self) -> Path:
        return self.cache_dir / f"terraform-{self.version}"

    def url(self, target: str) -> str:
        return f"{self.releases_url.rstrip('/')}/terraform/{self.version}/terraform_{self.version}_{target}.zip"


def current_platform() -> str:
    """Return this machine's platform as HashiCorp names it, ``<os>_<arch>``."""
    machine = platform.machine().lower()
    return f"{platform.system().lower()}_{_ARCHITECTURES.get(machine, machine)}"


def version_of(path: Path) -> Version | None:
    """Return the version of the binary at `path`; None if it does not run or answer."""
    try:
        done = subprocess.run(
            [str(path), "version", "-json"],
            capture_output=True,
            timeout=30,
            check=True,
            # Neither the user's configuration nor a version check over the network may change the output.
            env={**terraform_environment(os.environ), "TF_CLI_CONFIG_FILE": os.devnull, "CHECKPOINT_DISABLE": "1"},
        )
        return Version.parse(json.loads(done.stdout)["terraform_version"])
    except (OSError, subprocess.SubprocessError, ValueError, KeyError):
        return None


def candidates(search_path: str, download: Download) -> Iterator[Path]:
    """Return every terraform on `search_path`, in order, then the cached download."""
    for directory in search_path.split(os.pathsep):
        path = Path(directory or ".", "terraform")
        if os.access(path, os.X_OK) and path.is_file():
            yield path.absolute()
    if download.cached_path.is_file():
        yield download.cached_path


def find(constraint: Constraint, paths: Iterable[Path]) -> tuple[Terraform | None, list[Terraform]]:
    """Return the first of `paths` that `constraint` allows, and those before it that it does not."""
    unsuitable: list[Terraform] = []
    for path in paths:
        version = version_of(path)
        if version is None:
            continue
        terraform = Terraform(path, version)
        if constraint.allows(version):
            return terraform, unsuitable
        unsuitable.append(terraform)
    return None, unsuitable


def provide(
    constraint: Constraint, download: Download, *, search_path: str, say: Callable[[str], None]
) -> tuple[Terraform, bool]:
    """Return a terraform that `constraint` allows, and whether it was downloaded.

    Raises ProblemError if there is none and none can be downloaded.
    """
    found, wanted = _find(constraint, download, search_path)
    if found is not None:
        return found, False
    try:
        return fetch(download, current_platform(), say), True
    except ProblemError as error:
        raise ProblemError(
            f"{wanted}, and {download.version} could not be downloaded. {error.problem.what}",
            error.problem.where,
            error.problem.next_step,
        ) from error


def look(constraint: Constraint, download: Download, search_path: str) -> str:
    """Return which terraform `provide` would return. Only checks that a download would be answered.

    Raises ProblemError if there is none and none can be downloaded.
    """
    found, wanted = _find(constraint, download, search_path)
    if found is not None:
        return f"{found.version} ({found.path})"
    url = download.url(current_platform())
    try:
        request = urllib.request.Request(url, method="HEAD")  # noqa: S310 - the address is the operator's own setting
        urllib.request.urlopen(request, timeout=_PROBE_TIMEOUT_SECONDS).close()  # noqa: S310
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise ProblemError(f"{wanted}, and it cannot be downloaded: {reason}.", url, by_hand(download)) from error
    return f"{download.version}, which the next command downloads"


def _find(constraint: Constraint, download: Download, search_path: str) -> tuple[Terraform | None, str]:
    """Return a terraform that `constraint` allows; without one, what is required and what was found.

    Raises ProblemError if the pinned download is not allowed either.
    """
    found, unsuitable = find(constraint, candidates(search_path, download))
    if found is not None:
        return found, ""
    seen = (
        "; found only " + ", ".join(f"{t.version} at {t.path}" for t in unsuitable)
        if unsuitable
        else "; none is on PATH"
    )
    wanted = f"Terraform {constraint} is required{seen}"
    if not constraint.allows(download.version):
        raise ProblemError(
            f"{wanted}, and the pinned download {download.version} does not satisfy it either.",
            "terraform_required_version (inventory), toolchain_terraform_version (roles/toolchain/defaults/main.yml)",
            "make the two agree, then repeat the command",
        )
    return None, wanted


def by_hand(download: Download) -> str:
    """Return how a person provides Terraform where it cannot be downloaded."""
    return (
        f"install Terraform {download.version} by hand (https://developer.hashicorp.com/terraform/install), "
        "or set toolchain_releases_url to a mirror that this machine reaches; then repeat the command"
    )


def fetch(download: Download, target: str, say: Callable[[str], None]) -> Terraform:
    """Download, verify and unpack Terraform into the cache. A later run trusts nothing that an interrupted one left."""
    url, instead = download.url(target), by_hand(download)
    expected = download.sha256.get(target)
    if expected is None:
        raise ProblemError(
            f"No SHA-256 is pinned for Terraform {download.version} on {target}.",
            "toolchain_terraform_sha256 (roles/toolchain/defaults/main.yml)",
            f"add the line for {target} from {url.rpartition('_' + target)[0]}_SHA256SUMS, or {instead}",
        )
    try:
        download.cache_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=download.cache_dir, prefix=".download-") as scratch:
            archive = Path(scratch, "terraform.zip")
            actual = _stream(url, archive, say)
            if actual != expected:
                raise ProblemError(
                    f"The archive is not the pinned one: its SHA-256 is {actual}, expected {expected}.",
                    url,
                    f"do not use it; {instead}",
                )
            with zipfile.ZipFile(archive) as contents:
                binary = Path(contents.extract("terraform", scratch))
            binary.chmod(0o755)
            binary.replace(download.cached_path)
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        raise ProblemError(f"The download failed: {getattr(error, 'reason', error)}.", url, instead) from error
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise ProblemError(f"The download cannot be kept: {error}.", str(download.cache_dir), instead) from error
    version = version_of(download.cached_path)
    if version != download.version:
        raise ProblemError(
            f"The downloaded binary does not run here (it answered {version}).", str(download.cached_path), instead
        )
    return Terraform(download.cached_path, version)


def _stream(url: str, destination: Path, say: Callable[[str], None]) -> str:
    """Save `url` to `destination` with progress. Return its SHA-256 in hex."""
    digest = hashlib.sha256()
    say(f"downloading {url}")
    request = urllib.request.Request(url)  # noqa: S310 - the address is the operator's own setting
    with urllib.request.urlopen(request, timeout=_DOWNLOAD_TIMEOUT_SECONDS) as response, destination.open("wb") as file:  # noqa: S310
        total, done, told = int(response.headers.get("Content-Length", 0)), 0, time.monotonic()
        while block := response.read(1 << 20):
            file.write(block)
            digest.update(block)
            done += len(block)
            if time.monotonic() - told >= _PROGRESS_SECONDS:
                told = time.monotonic()
                say(Progress(f"downloaded {done >> 20} of {total >> 20} MiB"))
    return digest.hexdigest()


def default_search_path() -> str:
    return os.environ.get("PATH") or os.defpath

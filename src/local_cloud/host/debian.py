"""Images from Debian packages, for a machine that reaches a Debian mirror but no image registry.

`mmdebstrap` makes a root file system on the host, with the host's proxy and CAs, and the engine imports it. So a build
needs no network.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

DEFAULT_MIRROR = "http://deb.debian.org/debian"

#: Settings of the host's apt that a bootstrap needs too: proxies and trusted certificates.
_PASSED_ON = re.compile(r"^Acquire::(https?::|Check-Valid-Until|Check-Date|Retries)", re.IGNORECASE)

#: Containers need no manuals.
_EXCLUDED = tuple(f"path-exclude=/usr/share/{name}/*" for name in ("doc", "info", "locale", "man"))


@dataclass(frozen=True)
class Recipe:
    """The recipe of one root file system.

    `uploads` maps a file of this project to its directory in the image; `configuration` are Dockerfile instructions
    (ENV, CMD, …).
    """

    suite: str
    packages: tuple[str, ...]
    hooks: tuple[str, ...] = ()
    uploads: Mapping[str, str] = field(default_factory=dict)
    configuration: tuple[str, ...] = ()

    def digest(self) -> str:
        """Fingerprint of everything in the image, including the uploaded files' content."""
        files = {name: Path(name).read_text(encoding="utf-8") for name in self.uploads}
        document = asdict(self) | {"uploads": sorted((files[name], self.uploads[name]) for name in self.uploads)}
        return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:16]


def mmdebstrap_command(
    recipe: Recipe, *, target: Path, mirror: str, apt_options: tuple[str, ...] = ()
) -> tuple[str, ...]:
    """Return the command that writes the root file system of `recipe` to the tar archive `target`."""
    command = ["mmdebstrap", "--variant=minbase", f"--include={','.join(recipe.packages)}"]
    command += [f"--aptopt={option}" for option in ('Apt::Install-Recommends "false"', *apt_options)]
    command += [f"--dpkgopt={option}" for option in _EXCLUDED]
    command += [f"--essential-hook={hook}" for hook in recipe.hooks]
    command += [f"--customize-hook=copy-in {source} {inside}" for source, inside in recipe.uploads.items()]
    return (*command, recipe.suite, str(target), mirror)


def find_mirror(os_release: Mapping[str, str], apt_directory: Path = Path("/etc/apt")) -> str:
    """Return the Debian archive that this machine already uses, else Debian's own.

    Only the sources of a Debian machine name a Debian archive.
    """
    if os_release.get("ID") != "debian":
        return DEFAULT_MIRROR
    suite = os_release.get("VERSION_CODENAME", "")
    for path in (apt_directory / "sources.list", *sorted((apt_directory / "sources.list.d").glob("*"))):
        if not path.is_file():
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        sources = {".list": _one_line_sources, ".sources": _deb822_sources}.get(path.suffix)
        for uri, suites, components in sources(text) if sources else ():
            if suite in suites and "main" in components and uri.startswith(("http://", "https://")):
                return uri.rstrip("/")
    return DEFAULT_MIRROR


def inherited_apt_options(apt_config_dump: str) -> tuple[str, ...]:
    """Return the lines of ``apt-config dump`` that a bootstrap on this machine needs too (proxy, CA, expiry)."""
    return tuple(
        line.rstrip(";") for line in apt_config_dump.splitlines() if _PASSED_ON.match(line) and not line.endswith('"";')
    )


def _one_line_sources(text: str) -> Iterator[tuple[str, list[str], list[str]]]:
    """Parse ``deb [options] uri suite component…``, sources.list(5)."""
    for line in text.splitlines():
        match = re.match(r"\s*deb\s+(?:\[[^]]*\]\s+)?(\S+)\s+(\S+)\s+([^#]+)", line)
        if match:
            yield match[1], [match[2]], match[3].split()


def _deb822_sources(text: str) -> Iterator[tuple[str, list[str], list[str]]]:
    """Parse stanzas of ``Types``, ``URIs``, ``Suites``, ``Components``, sources.list(5)."""
    uncommented = re.sub(r"(?m)^#.*\n?", "", text)
    for stanza in re.split(r"\n\s*\n", uncommented):
        pairs = (line.partition(":") for line in stanza.splitlines() if ":" in line and not line[0].isspace())
        fields = {name.strip().lower(): value.split() for name, _, value in pairs}
        if "deb" in fields.get("types", []) and fields.get("enabled") != ["no"]:
            for uri in fields.get("uris", []):
                yield uri, fields.get("suites", []), fields.get("components", [])

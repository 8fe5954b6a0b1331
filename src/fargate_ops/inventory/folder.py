"""Create a new environment's inventory from another one's, with the requested values changed."""

from __future__ import annotations

import difflib
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import botocore.session
import yaml

from fargate_ops.core.problem import Problem, ProblemError
from fargate_ops.inventory.yaml_edit import entry, replaced, top_level, with_keys

_NAME = re.compile(r"[a-z](?:-?[a-z0-9])*")
_ACCOUNT = re.compile(r"\d{12}")
#: For <app>-<environment>: a target group's name has at most 32. terraform/variables.tf has the same limit.
_NAME_CHARACTERS = 28
#: The account's own resources are named <app>-account.
_RESERVED = frozenset({"account"})
_ZONE_LETTERS = "abcdef"
_GROUP_VARS = Path("group_vars/all")
#: Restored databases come from one environment's backups.
_RESTORES = "database_restores.yml"
_NUMBERS = {2: "two", 3: "three", 4: "four", 5: "five", 6: "six"}
#: Values of one environment only: another with the same would conflict with it, or use the wrong account.
_OWN = re.compile(r"^\s*(?:https_\w+|public_url)\s*:\s*(?!null\b|~|#)\S|arn:aws[a-z-]*:[^:\s]*:[a-z0-9-]*:\d")


@dataclass(frozen=True)
class Request:
    """The requested environment. `zones`: letters or names; empty to derive them."""

    name: str
    source: str
    region: str
    account_id: str
    zones: Sequence[str] = ()


@dataclass(frozen=True)
class Folder:
    """Every file and link of the new folder by relative path, its zones, and the lines that a person should check."""

    files: Mapping[Path, bytes]
    links: Mapping[Path, Path]
    zones: Sequence[str]
    derived: bool
    look_at: Sequence[str]


def missing(request: Request) -> list[str]:
    """Return the missing arguments of `make new-env`, each with an example."""
    flags = (
        (request.name, "NAME=qa"),
        (request.source, "FROM=staging"),
        (request.region, "REGION=ap-northeast-1"),
        (request.account_id, "ACCOUNT=123456789012"),
    )
    return [example for value, example in flags if not value]


def plan(request: Request, inventories: Path) -> Folder:
    """Return the content of the new folder, without writing it. Raises ProblemError with all problems at once."""
    problems = list(_problems(request, inventories))
    source = inventories / request.source
    if not request.source or not (source / _GROUP_VARS).is_dir():
        known = ", ".join(sorted(path.name for path in inventories.iterdir() if (path / _GROUP_VARS).is_dir()))
        problems.append(Problem(f"There is no environment {request.source!r}.", "FROM", f"choose of: {known}"))
        raise _all(problems)
    paths = [
        path
        for path in sorted(source.rglob("*"))
        if path.is_file()
        and path.name != _RESTORES
        and not any(part.startswith(".") for part in path.relative_to(source).parts)
    ]
    files = {path.relative_to(source): path.read_bytes() for path in paths if not path.is_symlink()}
    # Shared files stay linked: a copy would be one more place to change.
    links = {path.relative_to(source): path for path in paths if path.is_symlink()}
    if _runs_its_own_cloud(files):
        problems.append(
            Problem(
                f"{request.source} carries a cloud on this machine; a copy would fight it for ports and networks.",
                "the group local_cloud of its hosts.yml",
                "choose an environment of an AWS account, for example FROM=staging",
            )
        )
    shared = {path: link.read_bytes() for path, link in links.items()}
    settings = _Settings(request.source, files, shared)
    name = f"{settings.value('app_name')}-{request.name}"
    if len(name) > _NAME_CHARACTERS:
        problems.append(
            Problem(
                f"{name} has {len(name)} characters; application and environment, joined, may have {_NAME_CHARACTERS}.",
                "NAME",
                f"choose one of at most {_NAME_CHARACTERS - len(name) + len(request.name)} characters",
            )
        )
    network = settings.value("network_availability_zones")
    if not isinstance(network, Mapping):
        raise ProblemError(
            f"{request.source} does not name its zones, each with the ranges of its subnets.",
            f"network_availability_zones in inventory/{request.source}/",
            f"correct that first: make plan ENV={request.source}",
        )
    before = list(network)
    zones, derived = _zones(request, str(settings.value("aws_region")), before)
    problems += _zone_problems(request, zones, before)
    if problems:
        raise _all(problems)
    account = str(settings.value("aws_account_id"))
    settings.change("env_name", request.name)
    settings.change("aws_region", request.region)
    settings.change("aws_account_id", request.account_id)
    if account != request.account_id:
        # The first environment of another account: resources that exist once per account are created in its region.
        settings.change("account_home_region", request.region)
    settings.change_keys("network_availability_zones", zones)
    settings.rename_in_comments(request.source, request.name)
    return Folder(
        settings.files,
        {path: link.readlink() for path, link in links.items()},
        zones,
        derived,
        tuple(settings.own(inventories.name, request.name)),
    )


def write(folder: Folder, destination: Path) -> None:
    """Write `destination` completely or not at all. Raises ProblemError if the disk refuses."""
    try:
        # Written elsewhere and renamed; hidden, so that nobody takes it for an environment meanwhile.
        with tempfile.TemporaryDirectory(dir=destination.parent, prefix=".new-") as scratch:
            whole = Path(scratch, destination.name)
            for path, content in folder.files.items():
                (whole / path).parent.mkdir(parents=True, exist_ok=True)
                (whole / path).write_bytes(content)
            for path, target in folder.links.items():
                (whole / path).parent.mkdir(parents=True, exist_ok=True)
                (whole / path).symlink_to(target)
            whole.rename(destination)
    except OSError as error:
        raise ProblemError(
            f"The folder cannot be written: {error.strerror or error}.",
            str(destination),
            f"look at ls -ld {destination.parent} and df -h {destination.parent}, then repeat the command",
        ) from error


class _Settings:
    """The environment's own and shared files, and the variables that they set for all hosts."""

    def __init__(self, source: str, files: Mapping[Path, bytes], shared: Mapping[Path, bytes]) -> None:
        self._source = source
        self.files = dict(files)
        self._shared = shared

    def value(self, key: str) -> object:
        return yaml.safe_load(self._text(self._home(key)))[key]

    def change(self, key: str, value: str) -> None:
        home = self._own_home(key)
        self.files[home] = replaced(self._text(home), key, value).encode()

    def change_keys(self, key: str, keys: Sequence[str]) -> None:
        home = self._own_home(key)
        self.files[home] = with_keys(self._text(home), key, keys).encode()

    def rename_in_comments(self, old: str, new: str) -> None:
        """Rename the environment in the comments' commands: `make bootstrap ENV=staging`."""
        for path in _yaml(self.files):
            self.files[path] = re.sub(
                rf"(#.*\bENV=){re.escape(old)}(?![\w-])", rf"\g<1>{new}", self._text(path)
            ).encode()

    def own(self, inventories: str, name: str) -> Iterator[str]:
        """Yield the lines with values that belong only to the other environment."""
        for path in _yaml(self.files):
            for number, line in enumerate(self._text(path).splitlines(), 1):
                if not line.lstrip().startswith("#") and _OWN.search(line):
                    yield f"{inventories}/{name}/{path}:{number}: {line.strip()}"

    def _homes(self, paths: Iterable[Path], key: str) -> list[Path]:
        variables = [path for path in _yaml(paths) if path.parent == _GROUP_VARS]
        return [path for path in variables if key in top_level(self._text(path))]

    def _text(self, path: Path) -> str:
        return (self.files[path] if path in self.files else self._shared[path]).decode()

    def _own_home(self, key: str) -> Path:
        """Return the environment's own file of a variable. A shared one is overridden beside the environment's name."""
        home = self._home(key)
        if home in self.files:
            return home
        own = self._home("env_name")
        self.files[own] = f"{self._text(own)}\n{entry(self._text(home), key)}".encode()
        return own

    def _home(self, key: str) -> Path:
        """Return the file of a variable. The environment's own files come first."""
        homes = self._homes(self.files, key) or self._homes(self._shared, key)
        if len(homes) != 1:
            where = " and ".join(map(str, homes)) or "no file"
            raise ProblemError(
                f"{self._source} sets {key} in {where}; one file must.",
                f"inventory/{self._source}/{_GROUP_VARS}/",
                f"correct that first: make plan ENV={self._source}",
            )
        return homes[0]


def _yaml(paths: Iterable[Path]) -> list[Path]:
    return [path for path in paths if path.suffix in {".yml", ".yaml"}]


def _problems(request: Request, inventories: Path) -> Iterator[Problem]:
    if not _NAME.fullmatch(request.name) or request.name in _RESERVED:
        rule = "lower-case letters, digits and single hyphens, a letter first"
        if request.name in _RESERVED:
            rule = "the account's own resources have it"
        yield Problem(f"{request.name!r} cannot be an environment's name: {rule}.", "NAME", "choose another: NAME=qa")
    elif (inventories / request.name).exists():
        yield Problem(
            f"There is an environment {request.name} already.",
            f"{inventories.name}/{request.name}",
            f"choose another NAME, or look at what it is: make plan ENV={request.name}",
        )
    regions = botocore.session.get_session().get_available_regions("ec2")
    if request.region not in regions:
        close = difflib.get_close_matches(request.region, regions, 3, 0.4) or ["ap-northeast-2"]
        yield Problem(
            f"{request.region!r} is no region that the AWS SDK knows.", "REGION", f"choose of: {', '.join(close)}"
        )
    if not _ACCOUNT.fullmatch(request.account_id):
        yield Problem(
            f"{request.account_id!r} is not an account id, which has 12 digits.",
            "ACCOUNT",
            "aws sts get-caller-identity shows it",
        )


def _runs_its_own_cloud(files: Mapping[Path, bytes]) -> bool:
    hosts = yaml.safe_load(files.get(Path("hosts.yml"), b"")) or {}
    group = ((hosts.get("all") or {}).get("children") or {}).get("local_cloud") or {}
    return bool(group.get("hosts"))


def _zones(request: Request, old_region: str, before: list[str]) -> tuple[list[str], bool]:
    """Return the zones, and whether they were derived."""
    if request.zones:
        return [request.region + zone if len(zone) == 1 else zone for zone in request.zones], False
    if request.region == old_region:
        return before, False
    return [request.region + letter for letter in _ZONE_LETTERS[: len(before)]], True


def _zone_problems(request: Request, zones: list[str], before: list[str]) -> Iterator[Problem]:
    for zone in zones:
        if request.zones and not re.fullmatch(re.escape(request.region) + "[a-z]", zone):
            yield Problem(f"{zone} is no zone of {request.region}.", "ZONES", "give letters or names: ZONES=a,c,d")
    if len(set(zones)) != len(zones):
        yield Problem("A zone is named twice.", "ZONES", "name each once: ZONES=a,c,d")
    if len(zones) != len(before):
        count = _NUMBERS.get(len(before), str(len(before)))
        yield Problem(
            f"{request.source} has subnets for {count} zones, and {len(zones)} were given.",
            "ZONES",
            f"give {count}; the number is changed afterwards, with the ranges of their subnets, in network.yml",
        )


def _all(problems: Sequence[Problem]) -> ProblemError:
    """Return one error with all problems."""
    if len(problems) == 1:
        return ProblemError(problems[0].what, problems[0].where, problems[0].next_step)
    *others, last = problems
    told = "\n".join([f"{len(problems)} problems; nothing was written.", *map(str, others), last.what])
    return ProblemError(told, last.where, last.next_step)

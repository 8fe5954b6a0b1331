"""Rules of resources that exist once per account (home region, GitHub's roles), and of restored databases."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import yaml

from fargate_ops.core.problem import Problem
from fargate_ops.inventory.environment import Environment
from fargate_ops.inventory.names import NAME_CHARACTERS

_RESTORE_KEY = re.compile(r"\d{8}-\d{6}")
_RESTORE_TIME = re.compile(r"\d{4}-\d{2}-\d{2}T[\d:]{8}Z")
#: The account's own names begin with these; GitHub's permissions are given by such prefixes.
_OF_THE_ACCOUNT = frozenset({"account", "github", "cost"})

#: A value that an inventory sets for all its hosts, as written.
_SET = re.compile(
    r"^(env_name|app_name|aws_account_id|aws_region|account_home_region|github_repository):\s*[\"']?([\w-]+)",
    re.MULTILINE,
)
_GITHUB_ENVIRONMENTS = "github_environments"
_ITSELF = re.compile(r"\{\{\s*env_name\s*\}\}")


def _others(environment: Environment) -> Iterator[tuple[str, Mapping[str, str], str]]:
    """Yield the other inventories of this application and account: folder, some values as written, the files' text."""
    app_and_account = environment["app_name"], environment["aws_account_id"]
    folder = Path(environment["preflight_inventory_dir"])
    for other in sorted(folder.parent.glob("*/group_vars/all")):
        name = other.parents[1].name
        files = [] if name == folder.name else sorted(other.glob("*.y*ml"))
        text = "\n".join(file.read_text(errors="replace").removeprefix("---\n") for file in files)
        values = {match[1]: match[2] for match in _SET.finditer(text)}
        if (values.get("app_name"), values.get("aws_account_id")) == app_and_account:
            yield name, values, text


def _home(environment: Environment) -> Iterator[Problem]:
    """Environments of one account must agree on its home region, or its single resources are created twice."""
    home = environment["account_home_region"]
    for other, values, _ in _others(environment):
        of_other = values.get("account_home_region", home)
        if of_other != home:
            what = (
                f"account_home_region is {home} here and {of_other} in {other}, of the same account: "
                "resources that exist once per account would be created in both."
            )
            yield environment.problem("account_home_region", what, "set the same in both")


def _github_elsewhere(environment: Environment) -> Iterator[Problem]:
    """IAM has no regions, so only one region's bootstrap can create the roles of an environment."""
    if environment["github_repository"] is None:
        return
    for other, values, text in _others(environment):
        region = values.get("aws_region")
        if region == environment["aws_region"] or values.get("github_repository", "null") == "null":
            continue
        theirs = _listed(text, values.get("env_name", other))
        for name in environment[_GITHUB_ENVIRONMENTS]:
            for their in theirs:
                if name == their:
                    what = (
                        f"{name} is given GitHub's roles here and by {other} ({region}), of the same account: IAM has "
                        "no regions, so the second bootstrap would fail (EntityAlreadyExists)."
                    )
                elif name.startswith(f"{their}-") or their.startswith(f"{name}-"):
                    what = (
                        f"{name} here and {their} of {other} ({region}) begin alike, in the same account: IAM has no "
                        "regions, and rights are given by the prefix, so the one would share the other's."
                    )
                else:
                    continue
                own = environment["env_name"]
                yield environment.problem(
                    _GITHUB_ENVIRONMENTS, what, f"name only the environments of {environment['aws_region']}: [{own}]"
                )


def _listed(text: str, env_name: str) -> list[str]:
    """Return the environments that another inventory gives roles, without names that only Ansible can resolve."""
    lines = text.splitlines()
    start = next((at for at, line in enumerate(lines) if line.startswith(f"{_GITHUB_ENVIRONMENTS}:")), len(lines))
    end = next((at for at in range(start + 1, len(lines)) if re.match(r"[^\s#-]|---", lines[at])), len(lines))
    try:
        found = yaml.safe_load("\n".join(lines[start:end])) or {}
    except yaml.YAMLError:
        return []
    names = found.get(_GITHUB_ENVIRONMENTS)
    return [_ITSELF.sub(env_name, name) for name in names if isinstance(name, str)] if isinstance(names, list) else []


def _github(environment: Environment) -> Iterator[Problem]:
    if environment["github_repository"] is None:
        return
    if (environment["github_owner_id"] is None) != (environment["github_repository_id"] is None):
        what = "github_owner_id and github_repository_id belong together, and one of them is null."
        yield environment.problem("github_owner_id", what, "give both or neither", "github_repository_id")
    names = environment["github_environments"]
    if not names:
        what = "There is a repository, and no environment that its workflows may act on."
        yield environment.problem("github_environments", what, f"name it: [{environment['env_name']}]")
    for name in names:
        if name.split("-")[0] in _OF_THE_ACCOUNT:
            what = f"An environment's name cannot begin with {name.split('-')[0]}: rights are given by the prefix."
            yield environment.problem("github_environments", what, "choose another name")
        others = [other for other in names if other.startswith(f"{name}-")]
        if others:
            what = f"{others[0]} begins as {name} does: rights are given by the prefix, so it would share them."
            yield environment.problem("github_environments", what, "choose another name")
        whole = f"{environment['app_name']}-{name}"
        if len(whole) > NAME_CHARACTERS:
            what = f"{whole} has {len(whole)} characters, and an environment's full name may have {NAME_CHARACTERS}."
            yield environment.problem("github_environments", what, "shorten it")


def _restores(environment: Environment) -> Iterator[Problem]:
    restores, serving = environment["database_restores"], environment["database_serving"]
    for key, restore in restores.items():
        if not isinstance(restore, Mapping) or not _RESTORE_KEY.fullmatch(str(key)):
            wrong = "is no mapping named by the restored second, such as 20261124-101500"
        elif bool(restore.get("time")) == bool(restore.get("snapshot")):
            wrong = "needs either a time or a snapshot"
        elif restore.get("time") and not _RESTORE_TIME.fullmatch(str(restore["time"])):
            wrong = "needs a time as 2026-11-24T10:15:00Z"
        elif restore.get("source") and (restore["source"] == key or restore["source"] not in restores):
            wrong = "has a source that is none of the others"
        else:
            continue
        what = f"database_restores.{key} {wrong}."
        yield environment.problem(("database_restores", str(key)), what, "repeat make restore, which writes it")
    if serving and serving not in restores:
        known = ", ".join(map(str, restores)) or "none"
        what = f"database_serving is {serving!r}, which is no key of database_restores ({known})."
        yield environment.problem("database_serving", what, 'choose one of them, or "" for the original')


RULES = (_home, _github, _github_elsewhere, _restores)

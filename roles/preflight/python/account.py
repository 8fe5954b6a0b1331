"""Rules of what exists once per account: its home region, GitHub's roles. And of the databases that were restored."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from roles.preflight.python.environment import Environment
from roles.preflight.python.names import NAME_CHARACTERS
from roles.preflight.python.problem import Problem

_RESTORE_KEY = re.compile(r"\d{8}-\d{6}")
_RESTORE_TIME = re.compile(r"\d{4}-\d{2}-\d{2}T[\d:]{8}Z")
#: How the account's own names begin, of which GitHub's rights are made.
_OF_THE_ACCOUNT = frozenset({"account", "github", "cost"})

#: A value that an inventory sets for all its hosts, as it is written.
_SET = re.compile(r"^(app_name|aws_account_id|account_home_region):\s*[\"']?([\w-]+)", re.MULTILINE)


def _home(environment: Environment) -> Iterator[Problem]:
    """Environments of one account agree on its home region, or what it has once is made twice."""
    app_and_account = environment["app_name"], environment["aws_account_id"]
    home, folder = environment["account_home_region"], Path(environment["preflight_inventory_dir"])
    for other in sorted(folder.parent.glob("*/group_vars/all")):
        files = [] if other.parents[1].name == folder.name else sorted(other.glob("*.y*ml"))
        found = (match for file in files for match in _SET.finditer(file.read_text(errors="replace")))
        values = {match[1]: match[2] for match in found}
        of_other = values.get("account_home_region", home)
        if (values.get("app_name"), values.get("aws_account_id")) == app_and_account and of_other != home:
            what = (
                f"account_home_region is {home} here and {of_other} in {other.parents[1].name}, of the same account: "
                "what an account has once would be made in both."
            )
            yield environment.problem("account_home_region", what, "say the same in both")


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
            wrong = "is no second of restored data with its source"
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


RULES = (_home, _github, _restores)

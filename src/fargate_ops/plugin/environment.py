"""Define which of the shell's environment variables AWS, Terraform and Docker receive.

The Makefile builds the environment of everything that make starts. For `ansible-playbook` itself it is built here, in
its own process before it forks a worker, so it applies to action plugins, modules and lookups alike.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterable, MutableMapping
from fnmatch import fnmatchcase

#: Variables that could select another account, endpoint, workspace, Terraform variable or engine than the inventory.
FAMILIES = ("AWS_*", "TF_*", "DOCKER_*")
#: The Docker context and its folder select the engine unless the inventory requires one; then they are refused.
PASSED = ("TF_PLUGIN_DIR", "TF_LOG", "DOCKER_CONTEXT", "DOCKER_CONFIG")
#: Keys, profiles, SSO, `credential_process`, web identity, and the credentials of a container or an instance.
#: https://docs.aws.amazon.com/sdkref/latest/guide/settings-reference.html#EVarSettings
CREDENTIALS = (
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_CA_BUNDLE",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_CREDENTIAL_EXPIRATION",
    "AWS_WEB_IDENTITY_*",
    "AWS_ROLE_*",
    "AWS_CONTAINER_*",
    "AWS_EC2_METADATA_*",
    "AWS_METADATA_SERVICE_*",
)
#: A proxy cannot reach this machine's own addresses.
LOOPBACK = ("localhost", "127.0.0.1", "::1")


def unset(environment: MutableMapping[str, str], *, credentials: bool) -> list[str]:
    """Remove variables that only the inventory may set, and with `credentials=False` the shell's credentials too.

    Return the names of the removed variables that had a value. An empty variable is always removed, because botocore
    takes an empty ``AWS_PROFILE`` as the name of a profile.
    """
    passed = PASSED + (CREDENTIALS if credentials else ())
    steering = [name for name in environment if _matches(name, FAMILIES)]
    removed = {name: environment.pop(name) for name in steering if not environment[name] or not _matches(name, passed)}
    return sorted(name for name, value in removed.items() if value)


def bypass_proxies(environment: MutableMapping[str, str], addresses: Iterable[str]) -> None:
    """Add `addresses` to both spellings of ``no_proxy``: botocore reads only the lowercase one, Go programs either."""
    for name in ("no_proxy", "NO_PROXY"):
        said = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
        present = [item.strip() for item in said.split(",") if item.strip()]
        environment[name] = ",".join(dict.fromkeys([*present, *addresses]))


def user_name() -> str:
    """Return the name of this process's user, or ``uid 54321`` if the system has no entry for it."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return f"uid {os.geteuid()}"


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)

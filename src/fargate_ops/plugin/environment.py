"""The environment variables of a run: which of the shell's pass to AWS, Terraform and Docker, and which do not.

The Makefile builds the environment of everything that make starts. `ansible-playbook` alone builds it here, in its own
process and before any worker is forked: what is unset there is unset for action plugins, modules and lookups alike.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterable, MutableMapping
from fnmatch import fnmatchcase

#: What else could choose another account, endpoint, workspace, variable or engine than the inventory does.
FAMILIES = ("AWS_*", "TF_*", "DOCKER_*")
#: The Docker context and its folder choose the engine where the inventory requires none; otherwise they are refused.
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
    """Remove what only the inventory may say, and with `credentials=False` the shell's credentials too.

    Returns the names that were removed and had a value. An empty variable is always removed: botocore takes an empty
    ``AWS_PROFILE`` for the name of a profile.
    """
    passed = PASSED + (CREDENTIALS if credentials else ())
    steering = [name for name in environment if _matches(name, FAMILIES)]
    removed = {name: environment.pop(name) for name in steering if not environment[name] or not _matches(name, passed)}
    return sorted(name for name, value in removed.items() if value)


def bypass_proxies(environment: MutableMapping[str, str], addresses: Iterable[str]) -> None:
    """Add `addresses` to both spellings of ``no_proxy``: botocore reads the small one only, Go programs either."""
    for name in ("no_proxy", "NO_PROXY"):
        said = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
        present = [item.strip() for item in said.split(",") if item.strip()]
        environment[name] = ",".join(dict.fromkeys([*present, *addresses]))


def user_name() -> str:
    """The name of the user that this process is, or ``uid 54321`` where the system has no entry for it."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return f"uid {os.geteuid()}"


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)

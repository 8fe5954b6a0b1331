"""The checks `account` and `registry`: the credentials' account, and whether the registry answers."""

from __future__ import annotations

import urllib.error
import urllib.request
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError

from fargate_ops.core.checks import Finding
from fargate_ops.core.problem import Problem
from fargate_ops.image.registry import base_url

_REGISTRY_TIMEOUT_SECONDS = 5


def check_account(sts: Any, account_id: str, env_name: str) -> Finding:
    """Check that the credentials are valid and belong to the environment's account."""
    login = "export AWS_PROFILE=<profile>, or aws sso login; then aws sts get-caller-identity shows whose they are"
    try:
        caller = sts.get_caller_identity()
    except (NoCredentialsError, PartialCredentialsError) as error:
        return Finding("account", "no credentials", (Problem(f"There are no AWS credentials: {error}", "AWS", login),))
    except ClientError as error:
        refusal = error.response["Error"]
        problem = Problem(f"AWS refuses the credentials: {refusal.get('Message') or refusal['Code']}", "AWS STS", login)
        return Finding("account", str(refusal["Code"]), (problem,))
    except BotoCoreError as error:
        problem = Problem(
            f"AWS does not answer: {error}",
            "AWS STS",
            "check the network, the region and AWS_ENDPOINT_URL",
        )
        return Finding("account", "no answer", (problem,))
    if caller["Account"] != account_id:
        problem = Problem(
            f"The credentials belong to account {caller['Account']}, and {env_name} is account {account_id}.",
            f"aws_account_id of {env_name}, or the credentials: {caller['Arn']}",
            f"export AWS_PROFILE=<profile of {account_id}>, or choose the inventory of {caller['Account']}",
        )
        return Finding("account", caller["Account"], (problem,))
    return Finding("account", f"{account_id}, {caller['Arn']}")


def check_registry(address: str, *, may_start_later: bool) -> Finding:
    """Check that the registry answers. Permissions show later, when ECR is asked for a token.

    `may_start_later`: a missing registry on this machine is no problem, because the flow would start it.
    """
    base = base_url(address)
    url = f"{base}/v2/"
    try:
        with urllib.request.urlopen(url, timeout=_REGISTRY_TIMEOUT_SECONDS):  # noqa: S310 - http only on this machine
            pass
    except urllib.error.HTTPError as error:
        if error.code >= 500:
            return Finding("registry", f"{error.code}", (_unreachable(url, f"it answers {error.code}"),))
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        if may_start_later and base.startswith("http:"):
            return Finding("registry", f"not known yet: {address} does not answer ({reason})", skipped=True)
        return Finding("registry", "no answer", (_unreachable(url, str(reason)),))
    return Finding("registry", address)


def _unreachable(url: str, reason: str) -> Problem:
    return Problem(
        f"The image registry cannot be reached: {reason}.",
        url,
        "check image_registry, the network and the proxy (curl -i shows what answers there)",
    )

"""The checks that ask AWS: account, clock, state bucket, registry; and GitHub."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError

from fargate_ops.core.checks import Finding
from fargate_ops.core.problem import Problem
from fargate_ops.github import variables as github
from fargate_ops.image.registry import base_url

_REGISTRY_TIMEOUT_SECONDS = 5
#: AWS refuses a signature that is further away, S3 after 15 minutes.
#: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html
_CLOCK_SECONDS = 300


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


def check_skew(sts: Any, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> Finding:
    """Check this machine's clock against that of AWS, which is in every answer, also in a refusal."""
    try:
        answer = sts.get_caller_identity()
    except ClientError as error:
        answer = error.response
    except BotoCoreError as error:
        return Finding("clock", f"not known: {error}", skipped=True)
    headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    if "date" not in headers:
        return Finding("clock", "not known: AWS sent no date", skipped=True)
    seconds = (now() - parsedate_to_datetime(headers["date"])).total_seconds()
    summary = f"{abs(seconds):.0f} s {'ahead of' if seconds > 0 else 'behind'} AWS"
    if abs(seconds) < _CLOCK_SECONDS:
        return Finding("clock", summary)
    problem = Problem(
        f"This machine's clock is {summary}, so AWS refuses its signatures.",
        "the clock of this machine",
        "sudo timedatectl set-ntp true",
    )
    return Finding("clock", summary, (problem,))


def check_bucket(s3: Any, bucket: str, env_name: str, *, may_start_later: bool) -> Finding:
    """Check that the state bucket exists and can be read. `may_start_later`: a missing one is no problem."""
    try:
        s3.head_bucket(Bucket=bucket)
    except ClientError as error:
        missing = error.response["ResponseMetadata"]["HTTPStatusCode"] == 404
        if missing and may_start_later:
            return Finding("bucket", "not yet: the deployment creates it", skipped=True)
        what = "does not exist" if missing else f"cannot be read: {error.response['Error']['Code']}"
        step = f"make bootstrap ENV={env_name}" if missing else "allow s3:ListBucket to the role, or use another role"
        return Finding("bucket", what, (Problem(f"The state bucket {what}.", f"s3://{bucket}", step),))
    except BotoCoreError as error:
        return Finding("bucket", f"not known: {error}", skipped=True)
    return Finding("bucket", bucket)


def check_github(run: github.Run, repository: str) -> Finding:
    """Check that ``gh`` may set the variables of the environment's repository, as bootstrap does."""
    if not repository:
        return Finding("github", "not needed: github_repository is not set", skipped=True)
    if reason := github.unusable(run, repository):
        problem = Problem(f"gh cannot set the variables of {repository}: {reason}.", repository, "gh auth login")
        return Finding("github", "not usable", (problem,))
    return Finding("github", repository)


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

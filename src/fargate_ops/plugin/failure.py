"""Convert an error of AWS, of this machine or of these playbooks into a problem with a next step."""

from __future__ import annotations

import traceback
from pathlib import Path

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    HTTPClientError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
    TokenRetrievalError,
    UnauthorizedSSOTokenError,
)

from fargate_ops.core.outcome import Kind
from fargate_ops.core.problem import Problem
from fargate_ops.core.project import PROJECT

#: https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html, and the same errors' names in EC2 and S3.
_CREDENTIALS = frozenset(
    {
        "AuthFailure",
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidToken",
        "RequestExpired",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})


def problem_of(error: Exception) -> Problem:
    """Return what happened, where, and the next step, for any exception."""
    if isinstance(error, ClientError):
        return _refused(error)
    if isinstance(error, BotoCoreError):
        return _not_asked(error)
    if isinstance(error, OSError) and error.filename:
        return Problem(
            f"{error.strerror or error}: {error.filename}",
            str(error.filename),
            f"look at ls -ld {error.filename!r} and at df -h, then repeat the command",
            Kind.FAILED,
        )
    name = type(error).__name__
    return Problem(
        f"{name}: {error}" if str(error) else name,
        _place(error),
        "repeat the command with ARGS=-vvv for the whole traceback of this unexpected error",
        Kind.FAILED,
    )


def _refused(error: ClientError) -> Problem:
    detail = error.response.get("Error", {})
    code, said = detail.get("Code", "?"), detail.get("Message") or "no reason given"
    if code in _CREDENTIALS:
        next_step = "renew the credentials (aws sts get-caller-identity shows whose they are), then repeat the command"
    elif code in _DENIED:
        next_step = (
            "allow it to the role that aws sts get-caller-identity shows, or use another, then repeat the command"
        )
    else:
        next_step = "repeat the command; if AWS says the same again, correct what it names"
    what, where = f"AWS refused {error.operation_name}: {said} ({code})", f"{error.operation_name}, AWS"
    # With other credentials no call of the command succeeds. Any other refusal may follow a change.
    return Problem(what, where, next_step, Kind.REFUSED if code in _CREDENTIALS else Kind.FAILED)


def _not_asked(error: BotoCoreError) -> Problem:
    """Return the problem of a request to which AWS did not respond."""
    where, next_step = _place(error), "correct what it names, then repeat the command"
    if isinstance(error, ProfileNotFound):
        where, next_step = (
            "AWS_PROFILE",
            "export AWS_PROFILE=<one of aws configure list-profiles>, then repeat the command",
        )
    elif isinstance(error, TokenRetrievalError | UnauthorizedSSOTokenError):
        where, next_step = "the SSO session of this machine", "aws sso login, then repeat the command"
    elif isinstance(error, NoCredentialsError | PartialCredentialsError):
        where, next_step = "the AWS credentials of this shell", "export AWS_PROFILE=<profile>, then repeat the command"
    elif isinstance(error, NoRegionError):
        where, next_step = "aws_region (inventory)", "set it, then repeat the command"
    elif isinstance(error, ConnectionError | HTTPClientError):
        where = str(error.kwargs.get("endpoint_url") or "the network of this machine")
        next_step = "check that it can be reached (proxy, network; the local cloud: make up), then repeat the command"
    return Problem(str(error), where, next_step)


def _place(error: Exception) -> str:
    """Return the innermost line of this project in the error's traceback."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _ours(frame.filename)]
    if not frames:
        return "outside these playbooks"
    return f"{Path(frames[-1].filename).relative_to(PROJECT)}:{frames[-1].lineno} ({frames[-1].name})"


def _ours(file: str) -> bool:
    path = Path(file)
    return path.is_relative_to(PROJECT) and path.relative_to(PROJECT).parts[0] in ("roles", "src")

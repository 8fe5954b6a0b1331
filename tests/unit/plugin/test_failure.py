"""Every error becomes a problem with a next step, never only a standard library's message."""

from __future__ import annotations

import json
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from botocore.exceptions import (
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
    ParamValidationError,
    ProfileNotFound,
    UnauthorizedSSOTokenError,
)

from fargate_ops.plugin.failure import problem_of
from fargate_ops.terraform.outputs import read_outputs
from fargate_ops.terraform.version import Version


def refused(code: str, message: str = "no") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "DescribeServices")


@pytest.mark.parametrize(
    ("error", "what", "where", "next_step"),
    [
        (refused("ExpiredToken"), "AWS refused DescribeServices: no (ExpiredToken)", "DescribeServices", "renew"),
        (refused("AccessDeniedException"), "AccessDeniedException", "DescribeServices", "allow it to the role"),
        (refused("ValidationException", ""), "no reason given (ValidationException)", "AWS", "repeat the command"),
        (ClientError({}, "GetObject"), "AWS refused GetObject: no reason given (?)", "GetObject", "repeat"),
        (ProfileNotFound(profile="nope"), "(nope) could not be found", "AWS_PROFILE", "aws configure list-profiles"),
        (NoCredentialsError(), "locate credentials", "credentials of this shell", "export AWS_PROFILE"),
        (UnauthorizedSSOTokenError(), "SSO", "SSO session", "aws sso login"),
        (NoRegionError(), "region", "aws_region (inventory)", "set it"),
        (
            EndpointConnectionError(endpoint_url="http://127.0.0.1:9/"),
            "Could not connect",
            "http://127.0.0.1:9/",
            "make up",
        ),
        (ParamValidationError(report="Invalid length"), "Invalid length", "outside these playbooks", "correct what"),
        (FileNotFoundError(2, "No such file or directory", "/nope"), "No such file or directory: /nope", "/nope", "ls"),
        (KeyError("url"), "KeyError: 'url'", "outside these playbooks", "ARGS=-vvv"),
        (TimeoutError(), "TimeoutError", "outside these playbooks", "ARGS=-vvv"),
        (OSError("disk"), "OSError: disk", "outside these playbooks", "ARGS=-vvv"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_what_happened_where_and_the_next_step(error: Exception, what: str, where: str, next_step: str) -> None:
    problem = problem_of(error)
    assert what in problem.what
    assert where in problem.where
    assert next_step in problem.next_step


def test_the_place_is_the_innermost_line_of_the_project() -> None:
    with pytest.raises(AttributeError) as caught:
        Version.parse(None)  # type: ignore[arg-type]
    assert problem_of(caught.value).where.startswith("src/fargate_ops/terraform/version.py:")
    with pytest.raises(AttributeError) as inside:
        read_outputs(None, "b", "k")
    assert "src/fargate_ops/terraform/outputs.py:" in problem_of(inside.value).where
    assert "(read_outputs)" in problem_of(inside.value).where


@pytest.mark.parametrize("broken", [lambda: json.loads("{"), lambda: ZoneInfo("Asia/Seuol"), lambda: b"\xff".decode()])
def test_an_error_of_the_standard_library_never_stands_alone(broken: object) -> None:
    assert callable(broken)
    with pytest.raises(Exception) as caught:  # noqa: PT011
        broken()
    problem = problem_of(caught.value)
    assert type(caught.value).__name__ in problem.what
    assert problem.where
    assert problem.next_step
    assert str(Path.cwd()) not in str(problem)

"""src/local_cloud/account/web_identity.py: valid tokens of GitHub's runs, and tokens that are refused."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local_cloud.conftest import RunningCloud
from tests.support.github import AUDIENCE, URL, Issuer, Repository

pytestmark = pytest.mark.local_cloud

ISSUER = URL.removeprefix("https://")
PROVIDER = f"arn:aws:iam::000000000000:oidc-provider/{ISSUER}"
OURS = Repository()
STAGING = f"repo:{OURS.subject}:environment:staging"


@pytest.fixture(scope="module")
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture(scope="module")
def cloud(start_cloud: Callable[..., RunningCloud], issuer: Issuer) -> RunningCloud:
    """A cloud with the issuer's keys, and one role for each form of trust policy."""
    cloud = start_cloud(oidc_keys={URL: issuer.keys()}, load_balancer_image=None)
    iam = cloud.client("iam")
    iam.create_open_id_connect_provider(Url=URL, ClientIDList=[AUDIENCE])
    equals = {f"{ISSUER}:aud": AUDIENCE, f"{ISSUER}:sub": [f"repo:{OURS.subject}:pull_request", STAGING]}
    like = {f"{ISSUER}:sub": f"repo:{OURS.subject}:environment:*"}
    for name, condition in {"deploy": {"StringEquals": equals}, "any-environment": {"StringLike": like}}.items():
        statement = {
            "Effect": "Allow",
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Principal": {"Federated": PROVIDER},
            "Condition": condition,
        }
        trust = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)
    return cloud


def take(cloud: RunningCloud, token: str, role: str = "deploy") -> dict[str, Any]:
    arn = f"arn:aws:iam::000000000000:role/{role}"
    found: dict[str, Any] = cloud.client("sts").assume_role_with_web_identity(
        RoleArn=arn, RoleSessionName="deploy-1", WebIdentityToken=token
    )
    return found


def refusal(cloud: RunningCloud, token: str, role: str = "deploy") -> str:
    """Return code and message of the refusal. The test fails if there is none."""
    with pytest.raises(ClientError) as refused:
        take(cloud, token, role)
    error = refused.value.response["Error"]
    return f"{error['Code']}: {error['Message']}"


@pytest.mark.parametrize(
    ("role", "context"),
    [("deploy", "environment:staging"), ("deploy", "pull_request"), ("any-environment", "environment:qa")],
)
def test_a_trusted_run_is_let_in_and_its_key_is_the_roles(
    cloud: RunningCloud, issuer: Issuer, role: str, context: str
) -> None:
    import boto3

    answer = take(cloud, issuer.token(OURS, context), role)
    assert answer["SubjectFromWebIdentityToken"] == f"repo:{OURS.subject}:{context}"
    assert (answer["Audience"], answer["Provider"]) == (AUDIENCE, PROVIDER)
    given = answer["Credentials"]
    whose = boto3.client(
        "sts",
        endpoint_url=cloud.config.api_url,
        region_name=cloud.config.region,
        aws_access_key_id=given["AccessKeyId"],
        aws_secret_access_key=given["SecretAccessKey"],
        aws_session_token=given["SessionToken"],
    ).get_caller_identity()
    assert whose["Arn"] == f"arn:aws:sts::000000000000:assumed-role/{role}/deploy-1" == answer["AssumedRoleUser"]["Arn"]


@pytest.mark.parametrize(
    ("repository", "context"),
    [
        (OURS, "environment:production"),
        (OURS, "ref:refs/heads/main"),
        (OURS, "ref:refs/heads/staging"),
        (Repository("mallory/settlement", 666, 667), "pull_request"),
        (Repository("mallory/settlement", 666, 667), "environment:staging"),
        (Repository("example/other", OURS.owner_id, 777), "environment:staging"),
        # Another owner with the same names
        (Repository(OURS.name, 999, 998), "environment:staging"),
    ],
    ids=lambda value: value.subject if isinstance(value, Repository) else value,
)
def test_another_run_is_denied(cloud: RunningCloud, issuer: Issuer, repository: Repository, context: str) -> None:
    denied = "AccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity"
    assert refusal(cloud, issuer.token(repository, context)) == denied


def test_a_role_that_is_not_there_is_denied_in_the_same_words(cloud: RunningCloud, issuer: Issuer) -> None:
    assert "AccessDenied: Not authorized" in refusal(cloud, issuer.token(OURS, "environment:staging"), "nobody")


def test_a_token_that_the_issuer_did_not_sign_is_refused(cloud: RunningCloud, issuer: Issuer) -> None:
    assert "InvalidIdentityToken" in refusal(cloud, Issuer().token(OURS, "environment:staging"))
    header, _, signature = issuer.token(OURS, "environment:production").split(".")
    _, payload, _ = issuer.token(OURS, "environment:staging").split(".")
    assert "InvalidIdentityToken" in refusal(cloud, f"{header}.{payload}.{signature}")
    # {"alg":"none"}
    assert "InvalidIdentityToken" in refusal(cloud, f"eyJhbGciOiJub25lIn0.{payload}.")
    assert "not a valid JWT" in refusal(cloud, "no.token")


def test_claims_are_compared_and_times(cloud: RunningCloud, issuer: Issuer) -> None:
    def with_claims(**claims: Any) -> str:
        return refusal(cloud, issuer.token(OURS, "environment:staging", **claims))

    now = int(time.time())
    assert with_claims(aud="https://github.com/example") == "InvalidIdentityToken: Incorrect token audience"
    assert with_claims(exp=now - 120).startswith("ExpiredTokenException: ")
    assert "not yet valid" in with_claims(nbf=now + 600)
    assert "No OpenIDConnect provider found" in with_claims(iss="https://gitlab.com")
    assert "InvalidIdentityToken" in with_claims(sub=None)


def test_of_a_provider_whose_keys_are_not_known_nobody_is_let_in(cloud: RunningCloud, issuer: Issuer) -> None:
    cloud.client("iam").create_open_id_connect_provider(Url="https://issuer.example", ClientIDList=[AUDIENCE])
    token = issuer.token(OURS, "environment:staging", iss="https://issuer.example")
    assert "Couldn't retrieve verification key" in refusal(cloud, token)

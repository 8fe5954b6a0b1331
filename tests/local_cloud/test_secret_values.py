"""src/local_cloud/account/secret_values.py."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from tests.local_cloud.conftest import RunningCloud

pytestmark = pytest.mark.local_cloud


def test_a_secret_has_no_value_until_one_is_put(cloud: RunningCloud) -> None:
    secrets = cloud.client("secretsmanager")
    arn = secrets.create_secret(Name="empty")["ARN"]
    assert not secrets.describe_secret(SecretId=arn).get("VersionIdsToStages")
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        secrets.get_secret_value(SecretId=arn)
    secrets.put_secret_value(SecretId=arn, SecretString="value")
    assert secrets.get_secret_value(SecretId=arn)["SecretString"] == "value"
    (stages,) = secrets.describe_secret(SecretId=arn)["VersionIdsToStages"].values()
    assert stages == ["AWSCURRENT"]


def test_a_secret_made_with_a_value_has_it(cloud: RunningCloud) -> None:
    secrets = cloud.client("secretsmanager")
    arn = secrets.create_secret(Name="full", SecretString="value")["ARN"]
    assert secrets.get_secret_value(SecretId=arn)["SecretString"] == "value"

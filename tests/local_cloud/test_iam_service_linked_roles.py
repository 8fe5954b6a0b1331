"""src/local_cloud/account/iam_service_linked_roles.py."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from tests.local_cloud.conftest import RunningCloud

pytestmark = pytest.mark.local_cloud


def test_ecs_and_its_auto_scaling_have_roles_of_their_own(cloud: RunningCloud) -> None:
    iam = cloud.client("iam")
    names = {
        service: iam.create_service_linked_role(AWSServiceName=service, Description="test")["Role"]["RoleName"]
        for service in ("ecs.amazonaws.com", "ecs.application-autoscaling.amazonaws.com")
    }
    assert names == {
        "ecs.amazonaws.com": "AWSServiceRoleForECS",
        "ecs.application-autoscaling.amazonaws.com": "AWSServiceRoleForApplicationAutoScaling_ECSService",
    }
    role = iam.get_role(RoleName="AWSServiceRoleForECS")["Role"]
    assert role["Arn"].endswith(":role/aws-service-role/ecs.amazonaws.com/AWSServiceRoleForECS")
    with pytest.raises(ClientError, match="has been taken in this account"):
        iam.create_service_linked_role(AWSServiceName="ecs.amazonaws.com")

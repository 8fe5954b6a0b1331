"""An application without a database (`tests/apps/hello`): deployed, released, rolled back under load, destroyed.

It is first served by HTTP, then by HTTPS. Only the inventory names it. All tests share one environment. Each depends on
those before it.
"""

from __future__ import annotations

import json

import pytest

from fargate_ops.core import trust
from tests.e2e.conftest import HTTPS_PORT, PREFIX, Clone, service
from tests.e2e.load import load

pytestmark = [pytest.mark.e2e, pytest.mark.rehearsal, pytest.mark.timeout(900)]

APPLICATION = "tests/apps/hello"
INVENTORY = f"""\
---
app_source_dir: "{{{{ project_dir }}}}/{APPLICATION}"
app_database: false
app_schema_file: ""
"""
HTTPS = {
    "https_hosted_zone_id": "Z0LOCALHOST",
    "https_domain_name": "settlement.localhost",
    "public_url": f"https://127.0.0.1:{HTTPS_PORT}",
}
BUCKET, STATE = "settlement-terraform-000000000000-ap-northeast-2", "local/environment.tfstate"


def version(clone: Clone) -> str:
    """Return the version that a release of this commit has. The wheel of the library is in each build's context."""
    return clone.git("log", "-1", "--abbrev=12", "--format=%h", "--", APPLICATION, "src/fargate_app")


def trust_local_authority(clone: Clone, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this test's requests trust the certificate authority that the inventory names to the playbooks."""
    for variable in ("SSL_CERT_FILE", trust.VARIABLE):
        monkeypatch.setenv(variable, str(clone.path / ".local/local/rds-ca.pem"))


def serving(clone: Clone) -> str:
    return str(clone.request("/version")[1]["git_hash"])


def resources(clone: Clone) -> set[str]:
    """Return the addresses that Terraform's state manages, without the instances' keys."""
    state = json.loads(clone.aws("s3").get_object(Bucket=BUCKET, Key=STATE)["Body"].read())
    return {
        f"{resource.get('module', '')}.{resource['type']}.{resource['name']}"
        for resource in state["resources"]
        if resource["mode"] == "managed" and resource["instances"]
    }


def test_its_inventory_deploys_it(clone: Clone) -> None:
    clone.commit("inventory/local/group_vars/all/hello.yml", INVENTORY)
    output = clone.make("deploy").output
    assert "subnets in 10.0.0.0/18, no database" in output
    assert clone.request("/")[1]["hello"] == "world"
    assert serving(clone) == version(clone)


def test_nothing_of_a_database_exists(clone: Clone) -> None:
    managed = resources(clone)
    assert {"module.ecs.aws_ecs_service.this", "module.alb.aws_lb.this"} <= managed
    of_a_database = (
        "aws_db_",
        "aws_rds_",
        "admin",
        "app_database",
        "aws_security_group.database",
        "query_bot",
        "rotation_bot",
    )
    assert [address for address in sorted(managed) if any(part in address for part in of_a_database)] == []

    secrets = clone.aws("secretsmanager").list_secrets()["SecretList"]
    assert [secret["Name"] for secret in secrets if "database" in secret["Name"] or "rds!" in secret["Name"]] == []
    assert clone.aws("rds").describe_db_instances()["DBInstances"] == []
    families = clone.aws("ecs").list_task_definition_families()["families"]
    assert sorted(families) == [PREFIX, f"{PREFIX}-placeholder"]
    alarms = clone.aws("cloudwatch").describe_alarms(AlarmNamePrefix=f"{PREFIX}-database")["MetricAlarms"]
    assert alarms == []

    definition = clone.aws("ecs").describe_task_definition(taskDefinition=service(clone)["taskDefinition"])
    (container,) = definition["taskDefinition"]["containerDefinitions"]
    assert not container.get("secrets")
    assert not [item["name"] for item in container["environment"] if item["name"].startswith("DATABASE")]


def test_a_second_deploy_changes_nothing(clone: Clone) -> None:
    assert clone.make("deploy").recap()["changed"] == 0


def test_status_and_verify_show_no_database(clone: Clone) -> None:
    output = clone.make("status").output
    assert version(clone) in output
    assert "database     none" in output
    clone.make("verify")


def test_it_is_switched_to_https(clone: Clone, monkeypatch: pytest.MonkeyPatch) -> None:
    clone.variables |= HTTPS
    # The rules of the traffic move to the other listener, and their weights begin anew.
    refused = clone.make("deploy", expect=2)
    assert "all requests begin at the first target group" in refused.output
    deployed = clone.make("deploy", terraform_stack_allow=["aws_lb_listener_rule"])
    assert deployed.ending()["address"] == HTTPS["public_url"]
    trust_local_authority(clone, monkeypatch)
    # Port 80 redirects there.
    assert serving(clone) == version(clone)


def test_a_second_version_is_released_and_rolled_back_under_load(clone: Clone, monkeypatch: pytest.MonkeyPatch) -> None:
    first = version(clone)
    clone.commit(f"{APPLICATION}/hello.py", "# The second version.\n")
    trust_local_authority(clone, monkeypatch)
    with load(url=HTTPS["public_url"]):
        clone.make("release")
        assert serving(clone) == version(clone) != first
        clone.make("rollback")
    assert serving(clone) == first


@pytest.mark.parametrize(
    ("verb", "settings"),
    [("incident-db", []), ("restore", []), ("rotate-secret", []), ("run", ["CMD=true", "FAMILY=admin"])],
)
def test_a_verb_that_works_on_the_database_is_refused(clone: Clone, verb: str, settings: list[str]) -> None:
    output = clone.make(verb, *settings, expect=2).output
    assert "this environment has no database (app_database: false)" in output
    assert "Next: make status ENV=local" in output


def test_a_drill_of_the_database_is_refused(clone: Clone) -> None:
    output = clone.make("drill", "DRILL=rotation", expect=2).output
    assert "the drill rotation needs app_database, which the application has not" in output


def test_the_drills_that_need_no_database_pass(clone: Clone) -> None:
    output = clone.make("drill").output
    for name in ("broken_release", "never_healthy", "task_killed", "cost_surge"):
        assert f"VERDICT {name}: every check passed" in output
    assert "VERDICT rotation" not in output


def test_it_is_destroyed_without_a_snapshot(clone: Clone) -> None:
    output = clone.make("destroy", destroy_confirm=PREFIX).output
    assert "no snapshot (app_database: false)" in output
    assert resources(clone) == set()

"""The command line: detach, status, stop and its errors."""

from __future__ import annotations

import json
import socket
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.local_cloud.conftest import NOBODY, RunningCloud


def test_a_second_detach_changes_nothing(cloud: RunningCloud) -> None:
    result = cloud.command("--detach")
    assert result.returncode == 0
    assert json.loads(result.stdout)["changed"] is False


def test_status_knows_whether_the_configuration_is_current(cloud: RunningCloud) -> None:
    assert json.loads(cloud.command("--status").stdout)["current"] is True
    document = json.loads(cloud.config_file.read_text())
    other = cloud.config_file.with_name("other.json")
    other.write_text(json.dumps({**document, "log_level": "DEBUG"}))
    changed = RunningCloud(cloud.config, other, cloud.environment)
    assert json.loads(changed.command("--status").stdout)["current"] is False


@pytest.mark.parametrize(
    ("option", "number", "rule"),
    [
        ("--minute", "0", "a minute takes 1 to 60 seconds, not 0"),
        ("--gib", "0", "a GiB of storage takes 1 to 1073741824 bytes, not 0"),
    ],
)
def test_a_number_out_of_range_is_refused_in_words(cloud: RunningCloud, option: str, number: str, rule: str) -> None:
    refused = cloud.command(option, number)
    assert refused.returncode == 1
    assert rule in refused.stderr


def test_the_size_of_storage_is_set_on_a_running_cloud(cloud: RunningCloud) -> None:
    assert json.loads(cloud.command("--gib", "1000").stdout) == {"changed": True, "before": 2.0**30}
    assert json.loads(cloud.command("--gib", "1073741824").stdout) == {"changed": True, "before": 1000.0}


def test_it_keeps_no_proxy_and_nothing_else_of_the_shell(cloud: RunningCloud) -> None:
    """The fixture starts the cloud from such a shell."""
    pid = cloud.config.pid_file.read_text().strip()
    kept = Path(f"/proc/{pid}/environ").read_bytes()
    assert NOBODY.encode() in "\0".join(cloud.environment.values()).encode()
    assert NOBODY.partition("://")[2].encode() not in kept
    assert b"AWS_" not in kept
    assert f"TMPDIR={cloud.config.work_dir}/tmp".encode() in kept.split(b"\0"), "down removes that folder"


@pytest.mark.parametrize("service", ["budgets", "application-autoscaling"])
def test_an_answer_arrives_in_one_piece(cloud: RunningCloud, service: str) -> None:
    """A client that closes the connection between headers and body repeats a request that has succeeded."""
    port, target, body, answer = {
        "budgets": (cloud.config.api_port, "AWSBudgetServiceGateway.DescribeBudgets", "{}", b'"Budgets"'),
        "application-autoscaling": (
            cloud.config.autoscaling_port,
            "AnyScaleFrontendService.DescribeScalableTargets",
            '{"ServiceNamespace": "ecs"}',
            b'"ScalableTargets"',
        ),
    }[service]
    head = [
        "POST / HTTP/1.1",
        f"Host: {service}.ap-northeast-2.amazonaws.com",
        f"Authorization: AWS4-HMAC-SHA256 Credential=test/20260131/ap-northeast-2/{service}/aws4_request",
        "Content-Type: application/x-amz-json-1.1",
        f"X-Amz-Target: {target}",
        f"Content-Length: {len(body)}",
    ]
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
            connection.sendall("\r\n".join([*head, "", body]).encode())
            assert answer in connection.recv(65536)


def test_it_listens_on_loopback_and_gateway_only(cloud: RunningCloud) -> None:
    for address in (cloud.config.loopback_address, cloud.config.gateway_address):
        url = f"http://{address}:{cloud.config.api_port}/_local/health"
        with urllib.request.urlopen(url, timeout=60) as answer:
            assert answer.status == 200
    with socket.socket() as probe:
        probe.settimeout(1)
        assert probe.connect_ex(("127.0.0.2", cloud.config.api_port)) != 0


def test_stop_leaves_nothing_and_a_taken_port_is_named(
    start_cloud: Callable[..., RunningCloud],
) -> None:
    cloud = start_cloud()
    assert json.loads(cloud.command("--stop").stdout) == {"changed": True}
    assert not cloud.containers()
    assert not cloud.config.pid_file.exists()
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", cloud.config.api_port))
        taken.listen()
        result = cloud.command("--detach")
    assert result.returncode == 1
    assert f"port {cloud.config.api_port}" in result.stderr
    assert "pid " in result.stderr


def test_a_cloud_that_cannot_start_says_why(start_cloud: Callable[..., RunningCloud]) -> None:
    cloud = start_cloud()
    cloud.command("--stop")
    document = json.loads(cloud.config_file.read_text())
    broken = cloud.config_file.with_name("broken.json")
    broken.write_text(json.dumps({**document, "load_balancer_image": "none/such:1"}))
    result = RunningCloud(cloud.config, broken, cloud.environment).command("--detach")
    assert result.returncode == 1
    assert "image none/such:1 is missing" in result.stderr
    assert "Traceback" not in result.stderr
    assert not cloud.containers()


def test_autoscaling_keeps_tags_of_a_target(cloud: RunningCloud) -> None:
    client = cloud.client("application-autoscaling")
    arn = client.register_scalable_target(
        ServiceNamespace="ecs",
        ResourceId="service/none/none",
        ScalableDimension="ecs:service:DesiredCount",
        MinCapacity=0,
        MaxCapacity=2,
        Tags={"Name": "x"},
    )["ScalableTargetARN"]
    assert client.list_tags_for_resource(ResourceARN=arn)["Tags"] == {"Name": "x"}

"""The configuration file: each mistake is reported in one line that names the key."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from local_cloud.core import ports
from local_cloud.core.config import CloudConfig, ConfigError
from local_cloud.core.emulator import settings

MINIMAL: dict[str, Any] = {
    "instance": "test",
    "region": "ap-northeast-2",
    "account_id": "000000000000",
    "work_dir": "/tmp/cloud",
    "network_name": "net",
    "gateway_address": "172.31.240.1",
}


def test_a_minimal_configuration_has_the_documented_addresses() -> None:
    config = CloudConfig.from_mapping(MINIMAL)
    assert (config.api_url, config.container_api_url) == ("http://127.0.0.1:4566", "http://172.31.240.1:4566")
    assert config.labels == {"fargate.local": "test"}
    assert settings(config)["MINISTACK_HOST"] == "172.31.240.1"


def test_the_digest_changes_with_every_setting() -> None:
    config = CloudConfig.from_mapping(MINIMAL)
    assert config.digest == CloudConfig.from_mapping(MINIMAL).digest
    assert config.digest != CloudConfig.from_mapping({**MINIMAL, "database": {"persist": False}}).digest


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"wrok_dir": "/tmp"}, "wrok_dir: unknown key"),
        ({"api_port": "4566"}, "api_port: expected int"),
        ({"api_port": True}, "api_port: expected int"),
        ({"api_port": 8080}, "different ports"),
        ({"account_id": "1234"}, "12 digits"),
        ({"work_dir": "relative"}, "absolute path"),
        ({"gateway_address": "gateway"}, "gateway_address"),
        ({"database": {"bse_port": 1}}, "database.bse_port: unknown key"),
        ({"database": 5}, "database: expected an object"),
    ],
)
def test_mistakes_are_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        CloudConfig.from_mapping({**MINIMAL, **change})


def test_a_missing_key_and_a_broken_file_are_named(tmp_path: Path) -> None:
    path = tmp_path / "cloud.json"
    with pytest.raises(ConfigError, match="cannot read"):
        CloudConfig.load(path)
    path.write_text("{")
    with pytest.raises(ConfigError, match="cannot read"):
        CloudConfig.load(path)
    path.write_text(json.dumps({key: value for key, value in MINIMAL.items() if key != "region"}))
    with pytest.raises(ConfigError, match="region: required"):
        CloudConfig.load(path)


def test_an_address_of_no_interface_points_at_the_network() -> None:
    with pytest.raises(ports.AddressError, match="network must exist"):
        ports.check_free("192.0.2.1", 4566, "the gateway")

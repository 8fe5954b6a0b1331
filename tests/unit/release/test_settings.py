"""The role's variables that come from another role's settings, as Ansible resolves them with an inventory."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader

from fargate_ops.release.verify import Settings, Source
from tests.support.inventory import INVENTORIES, PROJECT, read

ROLE = PROJECT / "roles/ecs_release"
DEFAULTS = yaml.safe_load(Path(PROJECT / "roles/service_verify/defaults/main.yml").read_text())


@pytest.mark.parametrize(
    ("said", "settings"),
    [
        (
            "service_verify_from: public",
            Settings(
                source=Source.PUBLIC,
                answers=DEFAULTS["service_verify_answers"],
                limit_seconds=DEFAULTS["service_verify_limit_seconds"],
            ),
        ),
        (
            "{service_verify_from: targets, service_verify_answers: 11, service_verify_limit_seconds: 90}",
            Settings(source=Source.TARGETS, answers=11, limit_seconds=90),
        ),
    ],
)
def test_a_later_run_verifies_as_the_release_itself_would(said: str, settings: Settings) -> None:
    of_role = DataLoader().load_from_file(str(ROLE / "vars/main.yml"), trusted_as_template=True)
    inventory = read(INVENTORIES / "local", said).changed(**of_role, role_path=str(ROLE))
    assert Settings.from_arguments(inventory.template(of_role["__ecs_release_verify"])) == settings

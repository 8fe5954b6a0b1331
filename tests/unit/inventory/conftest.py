"""The problems of inventories, as Ansible reads them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from fargate_ops.core.problem import Problem
from fargate_ops.inventory import yaml_scan
from fargate_ops.inventory.preflight import Given, check
from fargate_ops.inventory.resolve import resolved
from fargate_ops.inventory.values import VALUES
from tests.support.inventory import INVENTORIES, read


def given(folder: Path, *extra_vars: str) -> Given:
    """Return the check's input for an inventory."""
    found = read(folder, *extra_vars)
    return Given(*resolved(VALUES, found.variables, found.template), yaml_scan.sources(folder, folder, extra_vars))


@cache
def good_values() -> dict[str, Any]:
    return dict(given(INVENTORIES / "staging").values)


@pytest.fixture
def problems() -> Callable[..., list[Problem]]:
    """Return the problems of staging's inventory with other values."""

    def find(**changes: Any) -> list[Problem]:
        return list(check(Given(good_values() | changes)).problems)

    return find


@pytest.fixture
def inventory(tmp_path: Path) -> Callable[[str], list[Problem]]:
    """Return the problems of staging's inventory with this text instead of the variables that it sets."""

    def find(text: str) -> list[Problem]:
        folder = tmp_path / "staging"
        files = folder / "group_vars/all"
        files.mkdir(parents=True)
        (folder / "hosts.yml").write_text((INVENTORIES / "staging/hosts.yml").read_text())
        document = yaml.compose(text)
        assert isinstance(document, yaml.MappingNode)
        changed = {key.value for key, _ in document.value}
        for source in (INVENTORIES / "staging/group_vars/all").glob("*.yml"):
            values = {key: value for key, value in yaml.safe_load(source.read_text()).items() if key not in changed}
            (files / source.name).write_text(yaml.safe_dump(values))
        (files / "changed.yml").write_text(text)
        return list(check(given(folder)).problems)

    return find

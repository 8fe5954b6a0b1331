"""Terraform's own checks over every root and module: formatted, valid, and `terraform test` with a mocked provider.

Nothing is created and no AWS account is needed. Terraform must find the provider hashicorp/aws: in the registry, or in
a mirror that the CLI configuration (`TF_CLI_CONFIG_FILE`) names. Two directories at a time: a run is bound by one core.
"""

import os
import re
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.terraform.terraform import SOURCE, TerraformError, copy_source, run_terraform

ROOTS = (".", "account")
MODULES = tuple(sorted(f"modules/{path.name}" for path in (SOURCE / "modules").iterdir()))
#: Their tests are run, and have to pass, where their plans are read: test_schedule.py and test_github.py.
RUN_ELSEWHERE = {"modules/autoscaling", "modules/github"}
RUN_HERE = (*ROOTS, *(path for path in MODULES if path not in RUN_ELSEWHERE))


def initialise_and_test(directory: Path, *, validate: bool) -> str:
    """Run `init`, `validate` if asked, and `test` in a directory; return what `test` printed."""
    run_terraform(directory, "init", "-backend=false", "-input=false")
    if validate:
        run_terraform(directory, "validate")
    return run_terraform(directory, "test")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[str]]]:
    """The output of each directory's run, by its path below `terraform/`; all are started at once."""
    copy = copy_source(tmp_path_factory.mktemp("terraform"))
    with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 2)) as pool:
        # The longest first. A root's validation covers its modules.
        yield {path: pool.submit(initialise_and_test, copy / path, validate=path in ROOTS) for path in RUN_HERE}
        pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("path", RUN_HERE)
def test_valid_and_passes_its_tests(path: str, results: dict[str, Future[str]]) -> None:
    try:
        output = results[path].result()
    except TerraformError as error:
        pytest.fail(str(error), pytrace=False)
    assert re.search(r"^Success! [1-9]\d* passed, 0 failed", output, re.MULTILINE)


def test_formatted() -> None:
    try:
        run_terraform(SOURCE, "fmt", "-check", "-recursive", "-diff")
    except TerraformError as error:
        pytest.fail(str(error), pytrace=False)


@pytest.mark.parametrize("path", MODULES)
def test_module_is_whole(path: str) -> None:
    module = SOURCE / path
    missing = {"main.tf", "variables.tf", "outputs.tf", "versions.tf", "README.md"} - {
        file.name for file in module.iterdir()
    }
    assert not missing
    assert list((module / "tests").glob("*.tftest.hcl"))


@pytest.mark.parametrize("path", [*ROOTS, *MODULES])
def test_variables_and_outputs_are_described(path: str) -> None:
    text = "\n".join((SOURCE / path / name).read_text(encoding="utf-8") for name in ("variables.tf", "outputs.tf"))
    blocks = re.findall(r'^(?:variable|output) "(\w+)" \{\n(.*?)^\}', text, re.MULTILINE | re.DOTALL)
    assert blocks
    assert [name for name, body in blocks if not re.search(r'^  description += "', body, re.MULTILINE)] == []


def test_terraform_leaves_to_ecs_and_the_release_what_is_theirs() -> None:
    """Otherwise an apply would give traffic back to another version, or stop a release."""
    ignored = {
        name: lists
        for path in sorted(SOURCE.rglob("*.tf"))
        for name, body in re.findall(
            r'^resource "(\w+" "\w+)" \{\n(.*?)^\}', path.read_text(), re.MULTILINE | re.DOTALL
        )
        if (lists := re.findall(r"ignore_changes = \[(.*)\]", body))
    }
    assert ignored['aws_ecs_service" "this'] == ["task_definition, desired_count, load_balancer, alarms"]
    assert ignored['aws_lb_listener_rule" "production'] == ignored['aws_lb_listener_rule" "test'] == ["action"]
    text = "".join(path.read_text(encoding="utf-8") for path in SOURCE.rglob("*.tf"))
    assert "deployment_configuration" not in text, "the provider 5.100 has neither, and a release sends both"
    assert "advanced_configuration" not in text


def test_who_may_reach_whom_is_in_one_module() -> None:
    """The chain of requirement A5 is tested as a whole in `security_groups`; a rule elsewhere would escape that."""
    rule = re.compile(r'resource "(?:aws_security_group_rule|aws_vpc_security_group_\w+_rule|aws_security_group)"')
    modules = {path.parent.name for path in SOURCE.rglob("*.tf") if rule.search(path.read_text(encoding="utf-8"))}
    assert modules == {"security_groups"}

"""Staging and production run another version of the provider than this machine: all that is asked of it, both know."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.terraform.provider_schema import (
    STORED,
    TERRAFORM,
    VERSION,
    Schema,
    Schemas,
    blocks,
    findings,
    installed,
    references,
)

HERE = "installed"


@pytest.fixture(scope="module")
def schemas() -> Schemas:
    stored: Schema = json.loads(STORED.read_text(encoding="utf-8"))
    return dict([(VERSION, stored), installed()])


@pytest.fixture(scope="module")
def here(schemas: Schemas) -> str:
    """The installed version. Where it is staging's own, there is no other one to tell it from."""
    version = next(version for version in reversed(schemas))
    if not version.startswith("5."):
        pytest.skip(f"the installed provider is {version}: nothing is known that it alone has")
    return version


def test_both_versions_know_all_that_is_asked(schemas: Schemas) -> None:
    assert len(list(blocks())) > 50
    assert len(list(references())) > 50
    found = findings(TERRAFORM, schemas)
    assert not found, f"a new type? python -m tests.terraform.provider_schema: {found}"


@pytest.mark.parametrize(
    ("lacks", "text", "expected"),
    [
        # Arguments.
        (HERE, 'resource "aws_eip" "a" { region = "eu-west-1" }', "aws_eip.a: no region"),
        (VERSION, 'resource "aws_eip" "a" { vpc = true }', "aws_eip.a: no vpc"),
        (HERE, 'data "aws_availability_zones" "a" { region = "a" }', "data.aws_availability_zones.a: no region"),
        # Blocks.
        (HERE, 'resource "aws_lb" "a" {\n health_check_logs {\n }\n}', "aws_lb.a: no health_check_logs"),
        (
            VERSION,
            'resource "aws_ecs_task_definition" "a" {\n inference_accelerator {\n }\n}',
            "aws_ecs_task_definition.a: no inference_accelerator",
        ),
        # In a block, in a dynamic one, in one of a dynamic one.
        (
            HERE,
            'resource "aws_acm_certificate" "a" {\n options {\n export = "ENABLED"\n }\n}',
            "aws_acm_certificate.a: no options.export",
        ),
        (
            HERE,
            """resource "aws_dynamodb_table" "a" {
              dynamic "replica" {
                for_each = ["eu-west-1"]
                content {
                  region_name      = replica.value
                  consistency_mode = "STRONG"
                }
              }
            }""",
            "aws_dynamodb_table.a: no replica.consistency_mode",
        ),
        (
            HERE,
            """resource "aws_lb_listener" "a" {
              dynamic "default_action" {
                for_each = [1]
                content {
                  type = "forward"
                  dynamic "jwt_validation" {
                    for_each = [1]
                    content {
                      issuer = "a"
                    }
                  }
                }
              }
            }""",
            "aws_lb_listener.a: no default_action.jwt_validation",
        ),
        # What is read.
        (HERE, 'output "a" {\n value = aws_eip.a.region\n}', "aws_eip: no attribute region"),
        (VERSION, 'output "a" {\n value = aws_eip.a.vpc\n}', "aws_eip: no attribute vpc"),
    ],
)
def test_what_one_version_alone_knows_is_found(
    tmp_path: Path, schemas: Schemas, here: str, lacks: str, text: str, expected: str
) -> None:
    (tmp_path / "modules/a").mkdir(parents=True)
    (tmp_path / "modules/a/main.tf").write_text(text + "\n", encoding="utf-8")
    version = here if lacks == HERE else VERSION
    assert findings(tmp_path, schemas) == [f"modules/a/main.tf: {expected} in {version}"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('resource "aws_lb" "a" { nome = "a" }', "main.tf: aws_lb.a: no nome"),
        ('resource "aws_lb" "a" { arn = "a" }', "main.tf: aws_lb.a: no arn"),  # is only read
        ('data "aws_iam_roles" "a" { nome = "a" }', "main.tf: data.aws_iam_roles.a: no nome"),
        ('resource "aws_lbs" "a" { name = "a" }', "main.tf: aws_lbs.a: no such type"),
        (
            'resource "aws_security_group" "a" {\n ingress = [{\n from_prt = 1\n }]\n}',
            "main.tf: aws_security_group.a: no ingress.from_prt",
        ),
        ('resource "aws_lb" "a" {\n name = "a"\n count = 1\n}', None),
    ],
)
def test_what_neither_knows_is_found_for_both(
    tmp_path: Path, schemas: Schemas, text: str, expected: str | None
) -> None:
    (tmp_path / "main.tf").write_text(text + "\n", encoding="utf-8")
    assert findings(tmp_path, schemas) == (
        sorted(f"{expected} in {version}" for version in schemas) if expected else []
    )

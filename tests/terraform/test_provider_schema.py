"""Staging and production run a provider that this machine may not have: all that is asked of it is known to it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.terraform.provider_schema import STORED, VERSION, Schema, blocks, references, unknown


@pytest.fixture(scope="module")
def schema() -> Schema:
    stored: Schema = json.loads(STORED.read_text(encoding="utf-8"))
    return stored


def test_every_resource_argument_and_block_is_known(schema: Schema) -> None:
    found = list(blocks())
    assert len(found) > 50
    findings = [finding for block in found for finding in unknown(block, schema)]
    assert not findings, f"not in {VERSION} (a new type? python -m tests.terraform.provider_schema): {findings}"


def test_every_attribute_that_is_read_is_known(schema: Schema) -> None:
    found = list(references())
    assert len(found) > 50
    missing = {
        f"{type_}.{attribute} in {file.name}"
        for file, type_, attribute in found
        if type_ in schema and attribute not in schema[type_]["attributes"]
    }
    assert not missing


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('resource "aws_lb" "a" { nome = "a" }', ["aws_lb.a: nome"]),
        ('resource "aws_lb" "a" {\n access_logs {\n buckets = "a"\n }\n}', ["aws_lb.a: access_logs.buckets"]),
        (
            'resource "aws_lb" "a" {\n dynamic "access_logs" {\n for_each = [1]\n content {\n buckets = "a"\n }\n }\n}',
            ["aws_lb.a: access_logs.buckets"],
        ),
        ('resource "aws_lbs" "a" { name = "a" }', ["aws_lbs.a: no such type"]),
        ('resource "aws_lb" "a" { name = "a" }', []),
    ],
)
def test_what_is_not_known_is_found(tmp_path: Path, schema: Schema, text: str, expected: list[str]) -> None:
    (tmp_path / "main.tf").write_text(text + "\n", encoding="utf-8")
    assert [finding for block in blocks(tmp_path) for finding in unknown(block, schema)] == expected

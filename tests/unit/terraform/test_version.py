from __future__ import annotations

import pytest

from fargate_ops.terraform.version import Constraint, Version


@pytest.mark.parametrize(
    ("text", "shown"),
    [("1.14.0", "1.14.0"), ("v1.14", "1.14.0"), ("2", "2.0.0"), ("1.15.0-rc1", "1.15.0-rc1"), ("1.2.3+ent", "1.2.3")],
)
def test_versions_are_read_as_terraform_writes_them(text: str, shown: str) -> None:
    assert str(Version.parse(text)) == shown


@pytest.mark.parametrize("text", ["", "latest", "1.x", "1.2.3.4"])
def test_other_text_is_no_version(text: str) -> None:
    with pytest.raises(ValueError, match="is not a version"):
        Version.parse(text)


def test_versions_are_ordered_by_number_and_prereleases_come_first() -> None:
    texts = ["1.9.0", "1.10.0-beta1", "1.10.0-rc1", "1.10.0", "1.10.1"]
    assert sorted(map(Version.parse, reversed(texts))) == [Version.parse(text) for text in texts]
    assert Version.parse("1.10.0") >= Version.parse("1.10.0")


@pytest.mark.parametrize(
    ("constraint", "allowed", "refused"),
    [
        (">= 1.11", ["1.11.0", "2.0.0"], ["1.10.9"]),
        ("> 1.11", ["1.11.1"], ["1.11.0"]),
        (">= 1.11, < 2.0", ["1.99.0"], ["2.0.0", "1.10.0"]),
        ("<= 1.11.4", ["1.11.4"], ["1.11.5"]),
        ("1.14.0", ["1.14.0"], ["1.14.1"]),
        ("= 1.14.0", ["1.14.0"], ["1.13.0"]),
        ("!= 1.12.0, >= 1.11", ["1.12.1"], ["1.12.0"]),
        ("~> 1.11", ["1.11.0", "1.14.0"], ["2.0.0", "1.10.0"]),
        ("~> 1.11.2", ["1.11.9"], ["1.12.0", "1.11.1"]),
        ("~> 1", ["1.0.0", "1.9.0"], ["2.0.0"]),
        ("1.15.0-rc1", ["1.15.0-rc1"], ["1.15.0-rc2", "1.15.0"]),
        (">= 1.11", [], ["1.15.0-rc1"]),  # a pre-release has to be named
    ],
)
def test_constraints(constraint: str, allowed: list[str], refused: list[str]) -> None:
    parsed = Constraint.parse(constraint)
    assert str(parsed) == constraint
    assert [v for v in allowed if not parsed.allows(Version.parse(v))] == []
    assert [v for v in refused if parsed.allows(Version.parse(v))] == []


@pytest.mark.parametrize(("text", "exact"), [("6.25.0", "6.25.0"), ("= 6.25.0", "6.25.0"), (">= 6.0, < 7", None)])
def test_an_exact_constraint_names_its_version(text: str, exact: str | None) -> None:
    named = Constraint.parse(text).exact
    assert (str(named) if named else None) == exact


@pytest.mark.parametrize("text", ["", "about 1.0", ">=", ">= 1.0,,"])
def test_a_malformed_constraint_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a version"):
        Constraint.parse(text)

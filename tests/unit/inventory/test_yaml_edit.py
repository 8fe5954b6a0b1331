from __future__ import annotations

import string

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from fargate_ops.inventory.yaml_edit import Value, entry, flow, replaced, with_keys

TEXT = """---
# Above.
one: 1 # beside
zones: [a, b] # of the region

# Between.
block:
  - x # first
  - y

# Below the block.
empty:
last: "quoted" # end
"""


@pytest.mark.parametrize(
    ("key", "value", "old", "new"),
    [
        ("one", "two", "one: 1 # beside", "one: two # beside"),
        ("zones", "no", "zones: [a, b] #", 'zones: "no" #'),
        ("block", "z", "  - x # first\n  - y\n\n# Below", "  z\n\n# Below"),
        ("empty", "full", "empty:\n", "empty: full\n"),
        ("last", "012345678901", '"quoted" #', '"012345678901" #'),
        ("one", 8000, "one: 1 #", "one: 8000 #"),
        ("one", False, "one: 1 #", "one: false #"),
        ("one", "", "one: 1 #", 'one: "" #'),
        ("zones", [], "[a, b] #", "[] #"),
        ("zones", ["python", "-m", "a,b"], "[a, b] #", '[python, -m, "a,b"] #'),
        ("last", "{{ project_dir }}/app", '"quoted" #', '"{{ project_dir }}/app" #'),
    ],
)
def test_only_the_value_changes(key: str, value: Value, old: str, new: str) -> None:
    assert replaced(TEXT, key, value) == TEXT.replace(old, new)


@given(st.text(string.ascii_lowercase + string.digits + "-", min_size=1, max_size=12))
@settings(max_examples=50)
def test_what_is_written_is_read_as_the_same_text(value: str) -> None:
    assert yaml.safe_load(f"a: {flow(value)}") == {"a": value}
    assert yaml.safe_load(replaced(TEXT, "zones", value)) == yaml.safe_load(TEXT) | {"zones": value}


@pytest.mark.parametrize(
    ("key", "lines"),
    [
        ("one", "one: 1\n"),
        ("zones", "zones: [a, b]\n"),
        ("block", "block:\n  - x # first\n  - y\n"),
        ("empty", "empty:\n"),
        ("last", 'last: "quoted"\n'),
    ],
)
def test_an_entry_is_its_key_and_value(key: str, lines: str) -> None:
    assert entry(TEXT, key) == lines


def test_only_the_keys_change() -> None:
    text = "zones:\n  # The first.\n  a: {x: 1} # one\n\n  b:\n    x: 2\nlast: 3\n"
    assert with_keys(text, "zones", ["no", "c"]) == text.replace("  a:", '  "no":').replace("  b:", "  c:")


@given(st.lists(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=8), max_size=3))
@settings(max_examples=50)
def test_a_list_is_read_as_the_same_list(value: list[str]) -> None:
    assert yaml.safe_load(replaced(TEXT, "zones", value)) == yaml.safe_load(TEXT) | {"zones": value}

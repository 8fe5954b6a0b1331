"""Change one value in a YAML file and keep every other character, including comments."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import yaml

Value = str | bool | int | Sequence[str]


def top_level(text: str) -> Mapping[str, yaml.Node]:
    """Return the nodes of the values by key, of a file with a mapping; empty for an empty file."""
    return {key.value: value for key, value in _entries(text)}


def entry(text: str, key: str) -> str:
    """Return the lines of a top-level `key` and its value, without the comments around them."""
    ((start, end),) = ((name.start_mark.index, _end(value)) for name, value in _entries(text) if name.value == key)
    return f"{text[start:end]}\n"


def replaced(text: str, key: str, value: Value) -> str:
    """Return `text` with another value of its top-level `key`, which must exist."""
    node = top_level(text)[key]
    start, end = node.start_mark.index, _end(node)
    before = text[start - 1 : start]
    # A missing value (`key:`) begins right after the colon.
    return text[:start] + (" " if before == ":" else "") + flow(value) + text[end:]


def with_keys(text: str, key: str, keys: Sequence[str]) -> str:
    """Return `text` with other keys of the mapping at its top-level `key`, in their order there."""
    places = [name for name, _ in top_level(text)[key].value]
    for place, name in reversed(list(zip(places, keys, strict=True))):
        text = text[: place.start_mark.index] + flow(name) + text[place.end_mark.index :]
    return text


def flow(value: Value) -> str:
    """Return `value` in one line; text is quoted only if YAML would read something else (`no`, `012345678901`)."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    if not isinstance(value, str):
        return f"[{', '.join(map(_item, value))}]"
    # An account id is always quoted: whether it looks like a number depends on its digits.
    return value if _reads_as(value, value) and not value.isdigit() else json.dumps(value, ensure_ascii=False)


def _item(value: str) -> str:
    """Return an item of a list in one line, where commas and brackets have a meaning."""
    return flow(value) if _reads_as(f"[{value}]", [value]) else json.dumps(value, ensure_ascii=False)


def _reads_as(text: str, value: str | list[str]) -> bool:
    try:
        return bool(yaml.safe_load(text) == value)
    except yaml.YAMLError:
        return False


def _entries(text: str) -> list[tuple[yaml.ScalarNode, yaml.Node]]:
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    return root.value if isinstance(root, yaml.MappingNode) else []


def _end(node: yaml.Node) -> int:
    """Return the end of a value's own text: a block's end mark is after the comments that follow it."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _end(last[1] if isinstance(last, tuple) else last)
    end: int = node.end_mark.index
    return end

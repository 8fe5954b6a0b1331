"""What two versions of the provider know, and what the Terraform here asks of it: nothing that only one of them has.

One is the version that is installed, which says so itself. Of staging's and production's no binary need be here: the
CDK's bindings for it, a package of PyPI, are made from its schema and name every argument, block and attribute. What
they say of the types in use is kept in ``provider-<version>.json``:

    python -m tests.terraform.provider_schema        after a type is added; downloads 60 MB
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import hcl2

from tests.terraform.terraform import own_schema

VERSION = "6.25.0"
BINDINGS = "cdktf-cdktf-provider-aws==21.22.1"
"""The bindings that are made from VERSION; their documentation links name it."""

TERRAFORM = Path(__file__).parents[2] / "terraform"
STORED = Path(__file__).with_name(f"provider-{VERSION}.json")

META = frozenset({"count", "for_each", "provider", "depends_on", "lifecycle", "provisioner", "connection"})
"""Arguments that are Terraform's own."""

Body = dict[str, Any]
"""``{argument: None, block or argument that is an object: Body}``."""
Schema = dict[str, dict[str, Any]]
"""``{"aws_x" or "data.aws_x": {"body": Body, "attributes": [name]}}``."""
Schemas = Mapping[str, Schema]
"""By the provider's version."""


@dataclass(frozen=True)
class Block:
    """A resource or data source as it is written: its type, its name, its body and the file."""

    type: str
    name: str
    body: dict[str, Any]
    file: Path


def blocks(root: Path = TERRAFORM) -> Iterator[Block]:
    """Every resource and data source below `root`."""
    for file in sorted(root.rglob("*.tf")):
        if ".terraform" in file.parts:
            continue
        document = _document(file)
        for kind, prefix in (("resource", ""), ("data", "data.")):
            for entry in document.get(kind, []):
                for type_, named in _items(entry):
                    for name, body in _items(named):
                        yield Block(prefix + type_, name, body, file)


@cache
def _document(file: Path) -> dict[str, Any]:
    with file.open(encoding="utf-8") as stream:
        return hcl2.load(stream)


_REFERENCE = re.compile(r"(?<![\w.])((?:data\.)?aws_\w+)\.\w+(?:\[[^\]]*\])?\.(\w+)")


def references(root: Path = TERRAFORM) -> Iterator[tuple[Path, str, str]]:
    """Every attribute that is read: file, type, attribute."""
    for file in sorted(root.rglob("*.tf")):
        if ".terraform" not in file.parts:
            for found in _REFERENCE.finditer(file.read_text(encoding="utf-8")):
                yield file, found[1], found[2]


def findings(root: Path, schemas: Schemas) -> list[str]:
    """What is written or read below `root` that a version does not know: file, path in the resource, version."""
    found = []
    for version, schema in schemas.items():
        for block in blocks(root):
            what = f"{block.file.relative_to(root)}: {block.type}.{block.name}"
            if block.type not in schema:
                found.append(f"{what}: no such type in {version}")
                continue
            found += [
                f"{what}: no {path} in {version}" for path in _unknown(block.body, schema[block.type]["body"], META)
            ]
        found += [
            f"{file.relative_to(root)}: {type_}: no attribute {attribute} in {version}"
            for file, type_, attribute in references(root)
            if type_ in schema and attribute not in schema[type_]["attributes"]
        ]
    return sorted(set(found))


def _unknown(body: dict[str, Any], known: Body, besides: frozenset[str] = frozenset()) -> Iterator[str]:
    for key, value in _items(body):
        if key in besides:
            continue
        if key == "dynamic":
            for entry in value:
                for name, dynamic in _items(entry):
                    yield from _unknown({name: dynamic["content"]}, known)
        elif key not in known:
            yield key
        elif known[key] is not None:
            # Blocks, or the objects of an argument.
            for item in value if isinstance(value, list) else [value]:
                if isinstance(item, dict):
                    yield from (f"{key}.{path}" for path in _unknown(item, known[key]))


def _items(body: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in body.items():
        if not key.startswith("__"):
            yield key.strip('"'), value


def installed() -> tuple[str, Schema]:
    """The version that ``terraform init`` takes here, and its own schema, of all types."""
    version, schema = own_schema()
    return version, {
        prefix + type_: _described(described["block"])
        for prefix, kind in (("", "resource_schemas"), ("data.", "data_source_schemas"))
        for type_, described in schema[kind].items()
    }


def _described(block: dict[str, Any]) -> dict[str, Any]:
    return {
        "body": _settable(block),
        "attributes": sorted({*block.get("attributes", {}), *block.get("block_types", {})}),
    }


def _settable(block: dict[str, Any]) -> Body:
    """https://developer.hashicorp.com/terraform/cli/commands/providers/schema#block-representation"""
    body: Body = {name: _settable(nested["block"]) for name, nested in block.get("block_types", {}).items()}
    for name, attribute in block.get("attributes", {}).items():
        if attribute.get("optional") or attribute.get("required"):
            nested = attribute.get("nested_type")
            body[name] = _settable(nested) if nested else _object(attribute["type"])
    return body


def _object(type_: Any) -> Body | None:
    """Of ``["set", ["object", {…}]]`` the object, in which everything can be set."""
    match type_:
        case ["object", fields, *_]:
            return {name: _object(field) for name, field in fields.items()}
        case ["list" | "set" | "map", element]:
            return _object(element)
    return None


def read_bindings(wheel: Path, types: set[str]) -> Schema:
    """The schema of `types`, out of the bindings' wheel; a type that it lacks is left out."""
    schema: Schema = {}
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        for type_ in sorted(types):
            folder = type_.replace("data.aws_", "data_aws_").removeprefix("aws_")
            source = f"cdktf_cdktf_provider_aws/{folder}/__init__.py"
            if source in names:
                schema[type_] = _module(ast.parse(archive.read(source)))
    return schema


def _module(tree: ast.Module) -> dict[str, Any]:
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    config = next(
        node for name, node in classes.items() if name.endswith("Config") and "TerraformMetaArguments" in ast.dump(node)
    )
    resource = classes[config.name.removesuffix("Config")]
    attributes = [
        item.name
        for item in resource.body
        if isinstance(item, ast.FunctionDef)
        and any(isinstance(mark, ast.Attribute) and mark.attr == "property" for mark in item.decorator_list)
    ]
    # Beside each argument's property stands the bindings' own `<argument>_input`.
    own = {name for name in attributes if name.removesuffix("_input") in attributes and name.endswith("_input")}
    return {"body": _body(config, classes), "attributes": sorted({"id", *attributes} - own)}


def _body(node: ast.ClassDef, classes: dict[str, ast.ClassDef]) -> Body:
    """Of a struct's constructor: an argument whose type names a struct of the module is a block."""
    constructor = next(item for item in node.body if isinstance(item, ast.FunctionDef) and item.name == "__init__")
    # The name in Python may be another (`from_`); the documentation's link has Terraform's.
    described = dict(re.findall(r":param (\w+):.*?#(\w+)\s", ast.get_docstring(constructor) or ""))
    body: Body = {}
    for argument in constructor.args.kwonlyargs:
        if argument.arg not in described:
            continue
        words = re.findall(r"\w+", ast.unparse(argument.annotation) if argument.annotation else "")
        nested = [classes[word] for word in words if word in classes]
        body[described[argument.arg]] = _body(nested[0], classes) if nested else None
    return body


def main() -> int:
    types = {block.type for block in blocks()}
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, BINDINGS]
        subprocess.run(command, check=True)
        schema = read_bindings(next(Path(folder).glob("*.whl")), types)
    STORED.write_text(json.dumps(schema, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    print(f"{STORED.name}: {len(schema)} of {len(types)} types; missing: {sorted(types - schema.keys()) or 'none'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

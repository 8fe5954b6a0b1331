"""Generate the tables of inputs and outputs in the READMEs of roles and modules, of costs and of performance.

python docs/tables.py            write the tables (make docs)
python docs/tables.py --check    only report outdated ones
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import hcl2
import yaml

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # a script's path has only its own folder

from docs import costs, performance  # noqa: E402

BEGIN, END = "<!-- BEGIN_TABLES -->", "<!-- END_TABLES -->"
DEFAULTS = "defaults/main.yml"
#: A longer default is linked instead of shown.
LONGEST_DEFAULT = 80


def table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [header, ("---",) * len(header), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def of_role(role: Path) -> str:
    """Return a table for each entry point of ``meta/argument_specs.yml``."""
    specs = yaml.safe_load((role / "meta/argument_specs.yml").read_text(encoding="utf-8"))["argument_specs"]
    defaults = yaml.safe_load((role / DEFAULTS).read_text(encoding="utf-8"))
    parts = []
    for entry, spec in specs.items():
        title = "## Inputs" if entry == "main" else f"## Inputs of `{entry}`"
        rows = [
            (f"`{name}`", _role_type(option), _role_default(name, option, defaults), _sentence(option["description"]))
            for name, option in (spec.get("options") or {}).items()
        ]
        parts.append(f"{title}\n\n{table(('name', 'type', 'default', 'description'), rows) if rows else 'None.'}")
    return "\n\n".join(parts)


def _role_type(option: dict[str, Any]) -> str:
    if option.get("choices"):
        return ", ".join(f"`{choice}`" for choice in option["choices"])
    kind = option.get("type", "str")
    return f"`{kind} of {option['elements']}`" if "elements" in option else f"`{kind}`"


def _role_default(name: str, option: dict[str, Any], defaults: dict[str, Any]) -> str:
    if name not in defaults:
        return "required" if option.get("required") else ""
    value = defaults[name]
    text = value if isinstance(value, str) and "{{" in value else json.dumps(value, ensure_ascii=False)
    return f"`{text}`" if len(text) <= LONGEST_DEFAULT else f"[long]({DEFAULTS})"


def _sentence(description: str | list[str]) -> str:
    return " ".join(" ".join(description if isinstance(description, list) else [description]).split())


def of_module(module: Path) -> str:
    """Return the inputs and outputs of a Terraform module or root."""
    inputs = [
        (f"`{name}`", f"`{_hcl_type(body['type'])}`", _hcl_default(body), _unquote(body["description"]))
        for name, body in _declared(module / "variables.tf", "variable")
    ]
    outputs = [
        (f"`{name}`", _unquote(body["description"])) for name, body in _declared(module / "outputs.tf", "output")
    ]
    parts = [f"## Inputs\n\n{table(('name', 'type', 'default', 'description'), inputs)}"]
    if outputs:
        parts.append(f"## Outputs\n\n{table(('name', 'description'), outputs)}")
    return "\n\n".join(parts)


def _declared(file: Path, kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    if not file.exists():
        return
    with file.open(encoding="utf-8") as stream:
        for entry in hcl2.load(stream).get(kind, []):
            for name, body in entry.items():
                if not name.startswith("__"):
                    yield name.strip('"'), body


def _hcl_type(text: str) -> str:
    return re.sub(r"\s+", " ", text.removeprefix("${").removesuffix("}") if text.startswith("${") else text)


def _hcl_default(body: dict[str, Any]) -> str:
    return f"`{json.dumps(_plain(body['default']), ensure_ascii=False)}`" if "default" in body else "required"


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key.strip('"'): _plain(item) for key, item in value.items() if not key.startswith("__")}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return _unquote(value) if isinstance(value, str) else value


def _unquote(text: str) -> str:
    return text[1:-1].replace('\\"', '"') if text.startswith('"') and text.endswith('"') else text


def renew(text: str, tables: str) -> str:
    """Replace the tables between the markers of `text`, or append markers and tables."""
    between = f"{BEGIN}\n\n{tables}\n\n{END}"
    if BEGIN not in text:
        return f"{text.rstrip()}\n\n{between}\n"
    before, _, rest = text.partition(BEGIN)
    return f"{before}{between}{rest.partition(END)[2]}"


def documents(root: Path = ROOT) -> Iterator[tuple[Path, str]]:
    """Yield every document with generated tables, and its tables."""
    for specs in sorted(root.glob("roles/*/meta/argument_specs.yml")):
        yield specs.parents[1] / "README.md", of_role(specs.parents[1])
    roots = (root / "terraform/variables.tf", root / "terraform/account/variables.tf")
    for variables in (*roots, *sorted(root.glob("terraform/modules/*/variables.tf"))):
        yield variables.parent / "README.md", of_module(variables.parent)
    yield root / "docs/costs.md", costs.document(root, table)
    yield root / "docs/performance.md", performance.document(root, table)


def main(arguments: list[str]) -> int:
    stale = []
    for file, tables in documents():
        current = file.read_text(encoding="utf-8")
        renewed = renew(current, tables)
        if renewed != current:
            stale.append(str(file.relative_to(ROOT)))
            if "--check" not in arguments:
                file.write_text(renewed, encoding="utf-8")
    if stale and "--check" in arguments:
        print(f"Outdated tables: {', '.join(stale)}. Next: make docs")
        return 1
    print(f"tables: {len(stale)} written" if stale else "tables: current")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

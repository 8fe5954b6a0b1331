"""The zip of the Lambda functions: the same sources give the same bytes, on any machine and on any day."""

from __future__ import annotations

import io
import os
import stat
import tempfile
import zipfile
from pathlib import Path

#: The earliest that a zip can hold; the sources' own times say when somebody checked them out.
EPOCH = (1980, 1, 1, 0, 0, 0)


class NoSources(Exception):
    """There is nothing to package; the message says where it was looked for."""


def build(source: Path) -> bytes:
    """The zip of the Python files of the package ``source``, beneath its own name.

    Not compressed: what zlib makes of the same bytes differs by its version, and so would the plan of two machines.
    """
    files = sorted(path for path in source.rglob("*.py") if path.is_file() and "__pycache__" not in path.parts)
    if not files:
        raise NoSources(f"{source} holds no Python file")
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as archive:
        for path in files:
            entry = zipfile.ZipInfo(path.relative_to(source.parent).as_posix(), EPOCH)
            entry.create_system = 3  # Unix, whatever this machine is: the permissions below are its
            entry.external_attr = (stat.S_IFREG | 0o644) << 16
            archive.writestr(entry, path.read_bytes())
    return content.getvalue()


def write(content: bytes, path: Path) -> bool:
    """Put it there in one step, unless it is there already; whether it was written."""
    if path.is_file() and path.read_bytes() == content:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
    os.chmod(name, 0o644)
    os.replace(name, path)
    return True

"""Build the zip of the Lambda functions. The same sources always give the same bytes, on any machine."""

from __future__ import annotations

import io
import os
import stat
import tempfile
import zipfile
from pathlib import Path

from fargate_ops.core.outcome import Kind
from fargate_ops.core.problem import OperationsError

#: The earliest time in a zip. The sources' own times depend on the checkout.
EPOCH = (1980, 1, 1, 0, 0, 0)


class NoSources(OperationsError):
    """There is nothing to package; the message names the folder."""

    kind = Kind.REFUSED


def build(source: Path) -> bytes:
    """Return the zip of the Python files of the package ``source``, below the package's name.

    It is not compressed: zlib's output differs by version, so the plans of two machines would differ.
    """
    files = sorted(path for path in source.rglob("*.py") if path.is_file() and "__pycache__" not in path.parts)
    if not files:
        raise NoSources(f"the bots cannot be packaged: {source} holds no Python file. Next: git status app/bots")
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as archive:
        for path in files:
            entry = zipfile.ZipInfo(path.relative_to(source.parent).as_posix(), EPOCH)
            entry.create_system = 3  # Unix on any machine: the permissions below are Unix's
            entry.external_attr = (stat.S_IFREG | 0o644) << 16
            archive.writestr(entry, path.read_bytes())
    return content.getvalue()


def write(content: bytes, path: Path) -> bool:
    """Write the zip in one step, unless it is unchanged. Return whether it was written."""
    if path.is_file() and path.read_bytes() == content:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
    os.chmod(name, 0o644)
    os.replace(name, path)
    return True

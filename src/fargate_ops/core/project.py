"""The project's folders. The package is used from its checkout, in an editable install."""

from pathlib import Path

PROJECT = Path(__file__).resolve().parents[3]
ROLES = PROJECT / "roles"
#: On the path, ``python -m fargate_ops...`` runs this checkout's code, whatever is installed.
SOURCE = PROJECT / "src"

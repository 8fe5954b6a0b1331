"""Where the project's folders are: the package is used from its checkout, in an editable install."""

from pathlib import Path

PROJECT = Path(__file__).resolve().parents[3]
ROLES = PROJECT / "roles"
#: Where ``python -m fargate_ops...`` finds this checkout's code, whatever is installed.
SOURCE = PROJECT / "src"

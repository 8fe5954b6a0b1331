"""Read the revisions below `migrations/versions` with Alembic, as `prepare` applies them.

The image's build runs `python -m settlement.revisions` and stores its output as `schema.json`. If Alembic would not
apply all revisions, the build fails and names the files.
"""

import json
import re
import sys
import traceback
import warnings
from collections import defaultdict
from dataclasses import asdict
from pathlib import Path

import settlement
from alembic.config import Config
from alembic.script import Script, ScriptDirectory
from alembic.util import to_tuple

from fargate_app.schema import Schema

MIGRATIONS = Path(settlement.__file__).parent / "migrations"
_LONGEST = 32  # characters of alembic_version.version_num
_LOOKS_LIKE_A_REVISION = re.compile(r"^revision\b[^=\n]*=", re.MULTILINE)


class RevisionsError(Exception):
    """Alembic cannot apply the revisions as they are. The message names the files and says what to do."""


def alembic_config() -> Config:
    """Return the configuration of Alembic; there is no alembic.ini."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("recursive_version_locations", "true")
    return config


def read() -> Schema:
    """Load every revision. Raises RevisionsError unless they all lead to one head."""
    directory = ScriptDirectory.from_config(alembic_config())
    scripts = _load(directory)
    _refuse_what_is_not_read(scripts)
    _refuse_wrong_identifiers(scripts)
    heads = _heads(directory, scripts)
    if len(heads) > 1:
        raise RevisionsError(
            f"there are {len(heads)} heads: {_named(scripts, heads)}. Make one follow the other by its down_revision, "
            f"or merge them: alembic merge {' '.join(heads)}"
        )
    if not heads:
        raise RevisionsError(f"there is no revision below {_shown(MIGRATIONS)}/versions")
    contracts = {script.revision for script in scripts if getattr(script.module, "contract", False) is True}
    compatible = [
        script.revision for script in scripts if not contracts or contracts <= _history(directory, script.revision)
    ]
    return Schema(heads[0], tuple(sorted(compatible)), tuple(sorted(script.revision for script in scripts)))


def file_of(error: BaseException) -> str:
    """Return the file below `migrations` that raised an error, from the image's root; empty if none did."""
    frames = [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
    files = [Path(name) for name in (*frames, getattr(error, "filename", None)) if name]
    in_versions = [path for path in files if path.is_relative_to(MIGRATIONS / "versions")]
    return _shown(in_versions[-1]) if in_versions else ""


def _load(directory: ScriptDirectory) -> list[Script]:
    """Load every file that Alembic finds. Its public revision map keeps only one file of each identifier."""
    scripts = []
    for path in sorted(
        path for folder in directory._version_locations for path in Script._list_py_dir(directory, folder)
    ):
        try:
            script = Script._from_path(directory, path)
        except Exception as error:  # whatever a module raises
            raise RevisionsError(f"{_shown(path)}: {type(error).__name__}: {error}") from error
        if script is not None:  # Alembic skips __init__.py and names that do not end with .py
            scripts.append(script)
    return scripts


def _refuse_what_is_not_read(scripts: list[Script]) -> None:
    read_by_alembic = {Path(script.path).resolve() for script in scripts}
    for path in sorted(MIGRATIONS.rglob("*.py")):
        if path.resolve() not in read_by_alembic and _LOOKS_LIKE_A_REVISION.search(path.read_text()):
            raise RevisionsError(
                f"{_shown(path)} is a revision in a place or under a name that Alembic does not read. "
                f"Move it below {_shown(MIGRATIONS)}/versions, with a name of its own that ends with .py"
            )


def _refuse_wrong_identifiers(scripts: list[Script]) -> None:
    by_revision: dict[str, list[Script]] = defaultdict(list)
    for script in scripts:
        if not isinstance(script.revision, str) or not 0 < len(script.revision) <= _LONGEST:
            raise RevisionsError(
                f"{_path(script)}: the revision {script.revision!r} is not a text of 1 to {_LONGEST} characters"
            )
        by_revision[script.revision].append(script)
    for revision, same in by_revision.items():
        if len(same) > 1:
            raise RevisionsError(
                f"{' and '.join(_path(script) for script in same)} are both the revision {revision}. "
                "Give one of them another identifier, and let it follow the other by its down_revision"
            )
    for script in scripts:
        for before in to_tuple(script.down_revision, default=()):
            if before not in by_revision:
                raise RevisionsError(
                    f"{_path(script)} follows the revision {before}, which no file has. Correct its down_revision"
                )


def _heads(directory: ScriptDirectory, scripts: list[Script]) -> list[str]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return sorted(directory.get_heads())
    except Exception as error:  # CommandError, and KeyError of a `depends_on` that no file has
        named = [script.revision for script in scripts if re.search(rf"\b{re.escape(script.revision)}\b", str(error))]
        raise RevisionsError(f"{type(error).__name__}: {error} ({_named(scripts, named)})") from error


def _history(directory: ScriptDirectory, revision: str) -> set[str]:
    return {script.revision for script in directory.iterate_revisions(revision, "base")}


def _named(scripts: list[Script], revisions: list[str]) -> str:
    return ", ".join(f"{script.revision} ({_path(script)})" for script in scripts if script.revision in revisions)


def _path(script: Script) -> str:
    return _shown(Path(script.path))


def _shown(path: Path) -> str:
    """Return a path from the image's root, which is app/api in the repository."""
    root = MIGRATIONS.resolve().parent.parent
    return str(path.resolve().relative_to(root)) if path.resolve().is_relative_to(root) else str(path)


def main() -> int:
    """Print the schema as JSON. Returns the exit code."""
    try:
        print(json.dumps(asdict(read())))
    except RevisionsError as error:
        print(f"The migrations cannot be applied: {error}.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

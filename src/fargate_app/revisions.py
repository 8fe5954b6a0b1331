"""Read the revisions below a folder of migrations with Alembic, as `prepare` applies them.

The image's build stores the output of the admin command's `schema` as `schema.json`. If Alembic would not apply all
revisions, the build fails and names the files.
"""

import re
import traceback
import warnings
from collections import defaultdict
from pathlib import Path

from alembic.config import Config
from alembic.script import Script, ScriptDirectory
from alembic.util import to_tuple

from fargate_app.schema import Schema

_LONGEST = 32  # characters of alembic_version.version_num
_LOOKS_LIKE_A_REVISION = re.compile(r"^revision\b[^=\n]*=", re.MULTILINE)


class RevisionsError(Exception):
    """Alembic cannot apply the revisions as they are. The message names the files and says what to do."""


def alembic_config(folder: Path) -> Config:
    """Return the configuration of Alembic for the migrations in `folder`; there is no alembic.ini."""
    config = Config()
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.set_main_option("recursive_version_locations", "true")
    return config


def read(folder: Path) -> Schema:
    """Load every revision below `folder/versions`. Raises RevisionsError unless they all lead to one head."""
    return _Revisions(folder).schema()


def file_of(folder: Path, error: BaseException) -> str:
    """Return the file below `folder/versions` that raised an error, from the image's root; empty if none did."""
    frames = [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
    files = [Path(name) for name in (*frames, getattr(error, "filename", None)) if name]
    in_versions = [path for path in files if path.is_relative_to(folder / "versions")]
    return _shown(folder, in_versions[-1]) if in_versions else ""


class _Revisions:
    """The revisions of one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._directory = ScriptDirectory.from_config(alembic_config(folder))
        self._scripts = self._load()

    def schema(self) -> Schema:
        self._refuse_what_is_not_read()
        self._refuse_wrong_identifiers()
        heads = self._heads()
        if len(heads) > 1:
            raise RevisionsError(
                f"there are {len(heads)} heads: {self._named(heads)}. Make one follow the other by its down_revision, "
                f"or merge them: alembic merge {' '.join(heads)}"
            )
        if not heads:
            raise RevisionsError(f"there is no revision below {self._shown(self._folder)}/versions")
        revisions = [script.revision for script in self._scripts]
        contracts = {script.revision for script in self._scripts if getattr(script.module, "contract", False) is True}
        compatible = [revision for revision in revisions if not contracts or contracts <= self._history(revision)]
        return Schema(heads[0], tuple(sorted(compatible)), tuple(sorted(revisions)))

    def _load(self) -> list[Script]:
        """Load every file that Alembic finds. Its public revision map keeps only one file of each identifier."""
        directory, scripts = self._directory, []
        for path in sorted(
            path for folder in directory._version_locations for path in Script._list_py_dir(directory, folder)
        ):
            try:
                script = Script._from_path(directory, path)
            except Exception as error:  # whatever a module raises
                raise RevisionsError(f"{self._shown(path)}: {type(error).__name__}: {error}") from error
            if script is not None:  # Alembic skips __init__.py and names that do not end with .py
                scripts.append(script)
        return scripts

    def _refuse_what_is_not_read(self) -> None:
        read_by_alembic = {Path(script.path).resolve() for script in self._scripts}
        for path in sorted(self._folder.rglob("*.py")):
            if path.resolve() not in read_by_alembic and _LOOKS_LIKE_A_REVISION.search(path.read_text()):
                raise RevisionsError(
                    f"{self._shown(path)} is a revision in a place or under a name that Alembic does not read. "
                    f"Move it below {self._shown(self._folder)}/versions, with a name of its own that ends with .py"
                )

    def _refuse_wrong_identifiers(self) -> None:
        by_revision: dict[str, list[Script]] = defaultdict(list)
        for script in self._scripts:
            if not isinstance(script.revision, str) or not 0 < len(script.revision) <= _LONGEST:
                raise RevisionsError(
                    f"{self._shown(script)}: the revision {script.revision!r} is not a text of 1 to {_LONGEST} "
                    "characters"
                )
            by_revision[script.revision].append(script)
        for revision, same in by_revision.items():
            if len(same) > 1:
                raise RevisionsError(
                    f"{' and '.join(map(self._shown, same))} are both the revision {revision}. "
                    "Give one of them another identifier, and let it follow the other by its down_revision"
                )
        for script in self._scripts:
            for before in to_tuple(script.down_revision, default=()):
                if before not in by_revision:
                    raise RevisionsError(
                        f"{self._shown(script)} follows the revision {before}, which no file has. "
                        "Correct its down_revision"
                    )

    def _heads(self) -> list[str]:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return sorted(self._directory.get_heads())
        except Exception as error:  # CommandError, and KeyError of a `depends_on` that no file has
            revisions = [script.revision for script in self._scripts]
            named = [revision for revision in revisions if re.search(rf"\b{re.escape(revision)}\b", str(error))]
            raise RevisionsError(f"{type(error).__name__}: {error} ({self._named(named)})") from error

    def _history(self, revision: str) -> set[str]:
        return {script.revision for script in self._directory.iterate_revisions(revision, "base")}

    def _named(self, revisions: list[str]) -> str:
        return ", ".join(
            f"{script.revision} ({self._shown(script)})" for script in self._scripts if script.revision in revisions
        )

    def _shown(self, what: Script | Path) -> str:
        return _shown(self._folder, Path(what.path) if isinstance(what, Script) else what)


def _shown(folder: Path, path: Path) -> str:
    """Return a path from the image's root, such as `app/migrations/versions/a.py`."""
    root = folder.resolve().parent.parent
    return str(path.resolve().relative_to(root)) if path.resolve().is_relative_to(root) else str(path)

"""The rules that the numbering of revisions rests on."""

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from settlement.schema import MIGRATIONS, is_current, schema_head


def test_revisions_are_one_line_numbered_without_gap_as_their_files_are() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    revisions = list(ScriptDirectory.from_config(config).walk_revisions())[::-1]
    numbers = [f"{number:04d}" for number in range(1, len(revisions) + 1)]
    assert [revision.revision for revision in revisions] == numbers
    assert [revision.down_revision for revision in revisions] == [None, *numbers[:-1]]
    assert [revision.path.rsplit("/", 1)[-1][:5] for revision in revisions] == [f"{number}_" for number in numbers]
    assert schema_head() == numbers[-1]


@pytest.mark.parametrize(("revision", "current"), [(None, False), ("0000", False), ("9999", True)])
def test_later_is_current(revision: str | None, current: bool) -> None:
    assert is_current(revision) is current
    assert is_current(schema_head())

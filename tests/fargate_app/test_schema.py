"""The schema of an image: the revisions that Alembic applies, or a refusal that names the files."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from fargate_app.revisions import RevisionsError, read
from fargate_app.schema import Schema
from tests.fargate_app.conftest import Revisions

REPOSITORY = Path(__file__).parents[2]
VERSIONS = "shop/migrations/versions"


def test_the_revisions_can_be_applied(revisions: Revisions) -> None:
    assert read(revisions.folder) == revisions.migrations.schema == Schema("0001", ("0001",), ("0001",))


def test_a_hash_a_subfolder_and_a_merge_are_read_as_alembic_reads_them(revisions: Revisions) -> None:
    revisions.add("1a31ce608336_trial.py", "1a31ce608336")
    revisions.add("2026/by_hand.py", "2026_more")
    revisions.add("deeper/still/merge.py", "f00", ("1a31ce608336", "2026_more"))
    revisions.add("computed.py", "x", "f00", more="revision = '_'.join(['a', 'b'])")
    assert read(revisions.folder) == Schema("a_b", *[("0001", "1a31ce608336", "2026_more", "a_b", "f00")] * 2)


def test_code_from_before_a_contract_does_not_work_after_it(revisions: Revisions) -> None:
    revisions.add("2.py", "2", "0001", more="contract = True")
    revisions.add("3.py", "3", "0001")
    revisions.add("4.py", "4", ("2", "3"))
    revisions.add("5.py", "5", "4", more="contract = False")
    # 3 lacks the contract, which is on the other branch.
    assert read(revisions.folder).compatible == ("2", "4", "5")


def refused(revisions: Revisions, *parts: str) -> None:
    with pytest.raises(RevisionsError) as error:
        read(revisions.folder)
    for part in parts:
        assert part in str(error.value)


def test_two_files_with_one_number_are_refused_with_both_names(revisions: Revisions) -> None:
    revisions.add("0002_a.py", "0002")
    revisions.add("0002_b.py", "0002")
    refused(revisions, f"{VERSIONS}/0002_a.py and {VERSIONS}/0002_b.py are both the revision 0002")


def test_two_heads_are_refused_with_both_names(revisions: Revisions) -> None:
    revisions.add("0002_a.py", "0002")
    revisions.add("2026/b.py", "0002b")
    refused(
        revisions,
        "2 heads",
        f"0002 ({VERSIONS}/0002_a.py)",
        f"0002b ({VERSIONS}/2026/b.py)",
        "alembic merge 0002 0002b",
    )


def test_a_revision_after_one_that_is_missing_is_refused(revisions: Revisions) -> None:
    revisions.add("0003_c.py", "0003", "0002")
    refused(revisions, f"{VERSIONS}/0003_c.py follows the revision 0002, which no file has")


def test_a_dependency_that_is_missing_is_refused(revisions: Revisions) -> None:
    revisions.add("0002_c.py", "0002", more="depends_on = 'nothing'")
    refused(revisions, "nothing")


def test_a_circle_is_refused_with_its_files(revisions: Revisions) -> None:
    revisions.add("a.py", "aaaa", "bbbb")
    revisions.add("b.py", "bbbb", "aaaa")
    refused(revisions, f"{VERSIONS}/a.py", f"{VERSIONS}/b.py", "ycle")


@pytest.mark.parametrize("revision", [2, "", "x" * 33])
def test_an_identifier_that_the_database_cannot_hold_is_refused(revisions: Revisions, revision: str) -> None:
    revisions.add("0002_c.py", revision)
    refused(revisions, f"{VERSIONS}/0002_c.py")


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("0002_c.py", "revision = (", "SyntaxError"),
        ("0002_c.py", "import nothing_of_this_name\nrevision = '0002'", "nothing_of_this_name"),
        ("helper.py", "x = 1", "helper.py"),
        ("0002_c.py", "revision = '0002'", "0002_c.py"),
    ],
)
def test_a_file_that_is_no_revision_is_refused_by_name(revisions: Revisions, name: str, text: str, said: str) -> None:
    (revisions.folder / "versions" / name).write_text(text)
    refused(revisions, name, said)


@pytest.mark.parametrize("place", ["0002_misplaced.py", "versions_old/0002_a.py", "versions/.#0002_a.py"])
def test_a_revision_that_alembic_does_not_read_is_refused(revisions: Revisions, place: str) -> None:
    path = revisions.folder / place
    path.parent.mkdir(exist_ok=True)
    path.write_text("revision: str = '0002'\ndown_revision = '0001'\n")
    refused(revisions, f"shop/migrations/{place} is a revision in a place or under a name that Alembic does not read")


def test_without_revisions_there_is_no_image(revisions: Revisions) -> None:
    (revisions.folder / "versions/0001_items_and_orders.py").unlink()
    refused(revisions, "there is no revision")


def test_the_build_keeps_what_alembic_read_and_the_service_imports_no_alembic(revisions: Revisions) -> None:
    program = (
        "import sys; from tests.fargate_app.shop.app import service; from fargate_app.health import database;"
        " assert 'alembic' not in sys.modules; sys.exit(service.admin(['schema']))"
    )
    built = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert json.loads(built.stdout) == {"head": "0001", "compatible": ["0001"], "revisions": ["0001"]}
    (revisions.folder.parent / "schema.json").write_text(
        '{"head": "c", "compatible": ["c"], "revisions": ["a", "b", "c"]}'
    )
    assert revisions.migrations.schema == Schema("c", ("c",), ("a", "b", "c"))


def test_a_build_does_not_read_the_file_that_it_writes(
    revisions: Revisions, capsys: pytest.CaptureFixture[str]
) -> None:
    (revisions.folder.parent / "schema.json").touch()
    assert revisions.service.admin(["schema"]) == 0
    assert json.loads(capsys.readouterr().out)["head"] == "0001"


def test_a_build_that_is_refused_says_why(revisions: Revisions, capsys: pytest.CaptureFixture[str]) -> None:
    revisions.add("0002_a.py", "0002")
    revisions.add("0002_b.py", "0002")
    assert revisions.service.admin(["schema"]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("The migrations cannot be applied: shop/migrations/versions/0002_a.py and")


@pytest.mark.parametrize(
    ("at", "current"),
    [((), False), (("0001",), False), (("b2",), True), (("of-a-later-image",), True), (("0001", "unknown"), True)],
)
def test_its_head_and_what_it_has_never_heard_of_are_current(
    revisions: Revisions, at: tuple[str, ...], current: bool
) -> None:
    revisions.add("b.py", "b2")
    assert revisions.migrations.schema.is_current(at) is current

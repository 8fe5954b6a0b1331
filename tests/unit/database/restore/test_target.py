"""The choice of what to restore, to serve and to forget, and the refusals."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from fargate_ops.core.problem import ProblemError
from fargate_ops.database.restore import inventory_file
from fargate_ops.database.restore.target import (
    Inventory,
    Restore,
    RestorePoints,
    Snapshot,
    menu,
    with_restore,
    with_serving,
    without,
)

NOW = datetime(2026, 11, 24, 10, 30, tzinfo=UTC)
WINDOW = (datetime(2026, 11, 23, 8, tzinfo=UTC), datetime(2026, 11, 24, 10, 25, tzinfo=UTC))
POINTS = RestorePoints(
    window=WINDOW,
    snapshots=[
        Snapshot(name="rds:qa-2026-11-23", instance="qa", time=datetime(2026, 11, 23, 17, 4, 9, 250000, tzinfo=UTC)),
        Snapshot(name="qa-final", instance="qa", time=datetime(2026, 11, 22, tzinfo=UTC)),
    ],
    now=NOW,
)
KEY = "20261124-101500"
AT = Restore(time="2026-11-24T10:15:00Z")


def restored(time: str = "", snapshot: str = "", inventory: Inventory | None = None) -> tuple[Inventory, str]:
    return with_restore("qa", inventory or Inventory(), POINTS, time=time, snapshot=snapshot)


@pytest.mark.parametrize("time", ["2026-11-24T10:15:00Z", "2026-11-24T19:15:00+09:00", "2026-11-24 10:15:00+00:00"])
def test_a_second_is_one_restore_however_it_is_written(time: str) -> None:
    inventory, key = restored(time)
    assert (key, inventory.restores[key].to_plain()) == (KEY, {"source": "", "time": "2026-11-24T10:15:00Z"})
    assert restored(time, inventory=inventory) == (inventory, key)


def test_a_snapshot_is_named_by_the_second_of_its_data() -> None:
    inventory, key = restored(snapshot="rds:qa-2026-11-23")
    assert key == "20261123-170409"
    assert inventory.restores[key].to_plain() == {"source": "", "snapshot": "rds:qa-2026-11-23"}
    assert restored(snapshot="rds:qa-2026-11-23", inventory=inventory) == (inventory, key)


def test_what_serves_is_the_source_and_asking_again_after_the_switch_changes_nothing() -> None:
    switched = with_serving("qa", restored("2026-11-24T10:15:00Z")[0], KEY)
    assert restored("2026-11-24T10:15:00Z", inventory=switched) == (switched, KEY)
    assert restored("2026-11-24T10:20:00Z", inventory=switched)[0].restores["20261124-102000"].source == KEY


@pytest.mark.parametrize(
    ("time", "snapshot", "said"),
    [
        ("yesterday", "", "not a time to the second with its zone"),
        ("2026-11-24", "", "not a time to the second with its zone"),
        ("2026-11-24T10:15:00", "", "not a time to the second with its zone"),
        ("2026-11-24T10:15:00.5Z", "", "not a time to the second with its zone"),
        ("2026-11-24T10:31:00Z", "", "is in the future"),
        ("2026-11-24T10:26:00Z", "", "cannot be restored yet"),
        ("2026-11-23T07:59:59Z", "", "before the first second"),
        ("", "nonesuch", "There is no snapshot nonesuch"),
        ("2026-11-24T10:15:00Z", "qa-final", "Both a time and a snapshot"),
    ],
)
def test_what_cannot_be_restored_is_one_error_with_the_next_command(time: str, snapshot: str, said: str) -> None:
    with pytest.raises(ProblemError, match=said) as error:
        restored(time, snapshot)
    assert "nothing was touched" in str(error.value)
    assert "make restore ENV=qa" in str(error.value)


def test_an_instance_without_a_backup_says_so() -> None:
    with pytest.raises(ProblemError, match="no automated backup yet"):
        with_restore(
            "qa", Inventory(), RestorePoints(window=None, snapshots=[], now=NOW), time=str(AT.time), snapshot=""
        )


def test_two_of_one_second_do_not_meet() -> None:
    taken = Inventory(restores={"20261123-170409": Restore(time="2026-11-23T17:04:09Z")})
    with pytest.raises(ProblemError, match="20261123-170409 exists already"):
        restored(snapshot="rds:qa-2026-11-23", inventory=taken)


def test_only_a_database_that_is_there_can_serve() -> None:
    inventory = Inventory(restores={KEY: AT})
    assert with_serving("qa", inventory, KEY).serving == KEY
    assert with_serving("qa", with_serving("qa", inventory, KEY), "original").serving == ""
    with pytest.raises(ProblemError, match=f"known: original, {KEY}"):
        with_serving("qa", inventory, "20200101-000000")


def test_what_serves_or_is_a_source_is_not_forgotten() -> None:
    later = Restore(source=KEY, time="2026-11-24T10:20:00Z")
    both = Inventory(restores={KEY: AT, "20261124-102000": later}, serving="20261124-102000")
    for key, said in ((KEY, "came from"), ("20261124-102000", "serves"), ("nonesuch", "no restored database")):
        with pytest.raises(ProblemError, match=said):
            without("qa", both, key)
    rest = without("qa", with_serving("qa", both, "original"), "20261124-102000")
    assert without("qa", rest, KEY) == Inventory()


def test_the_menu_gives_each_command() -> None:
    inventory = Inventory(restores={KEY: AT, "20261124-100000": Restore(snapshot="s")}, serving=KEY)
    text = "\n".join(menu("qa", inventory, POINTS))
    for command in (
        "restore_time=2026-11-24T10:25:00Z",
        "restore_snapshot=rds:qa-2026-11-23",
        "restore_serving=20261124-100000",
        "restore_serving=original",
    ):
        assert f"make restore ENV=qa ARGS='-e {command}'" in text
    assert f"restore_serving={KEY}" not in text
    assert text.index("rds:qa-2026-11-23") < text.index("qa-final")


class Tagged(str):
    """A string type like Ansible's."""


def test_strings_of_ansible_are_written_as_strings() -> None:
    inventory = Inventory(restores={Tagged(KEY): Restore(time=Tagged(AT.time))}, serving=Tagged(KEY))
    assert inventory_file.text(inventory) == inventory_file.text(Inventory(restores={KEY: AT}, serving=KEY))


def test_the_file_is_what_the_variables_are(tmp_path: Path) -> None:
    path = tmp_path / inventory_file.NAME
    inventory = Inventory(restores={KEY: AT, "20261123-170409": Restore(snapshot="rds:x")}, serving=KEY)
    assert inventory_file.write(path, inventory, preview=True)
    assert not path.exists()
    assert inventory_file.write(path, inventory)
    assert not inventory_file.write(path, inventory)
    values = yaml.safe_load(path.read_text())
    assert Inventory.from_variables(values["database_restores"], values["database_serving"]) == inventory
    assert inventory_file.write(path, Inventory())
    assert not path.exists()

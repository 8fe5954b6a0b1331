"""The size of a database's disk."""

from __future__ import annotations

import pytest

from local_cloud.core.storage import Storage


def test_a_smaller_gib_is_filled_by_less() -> None:
    storage = Storage()
    assert storage.free_bytes(20, 5 * 1024**3) == 15 * 1024**3
    storage.gib_bytes = 1000
    assert storage.free_bytes(20, 5000) == 15 * 1024**3
    assert storage.free_bytes(20, 30_000) == 0


@pytest.mark.parametrize("number", [0, 2**30 + 1])
def test_a_gib_is_never_larger_than_on_aws(number: int) -> None:
    with pytest.raises(ValueError, match="1 to 1073741824 bytes"):
        Storage().gib_bytes = number

"""Each benchmark of the application and of waiting runs, briefly."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.bench import application, overload, waiting
from tests.bench.load import MachineTooBusy
from tests.bench.measure import Row

pytestmark = [pytest.mark.e2e, pytest.mark.rehearsal]

BENCHMARKS: dict[str, Callable[[], list[Row]]] = {
    "app": lambda: application.run(1, seconds=1),
    "overload": lambda: overload.run(1, seconds=3),
    "waiting": lambda: waiting.run(1),
}
#: How far off a ratio may be. Other tests use the processors meanwhile, which lengthens the times of `overload`.
LEEWAY = {"app": 1 / 3, "overload": 2, "waiting": 1 / 3}


@pytest.mark.parametrize("name", BENCHMARKS)
def test_no_ratio_is_far_off(name: str, record_property: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(variable, "test")  # the stubbed clients sign requests with these
    try:
        rows = BENCHMARKS[name]()
    except MachineTooBusy as busy:
        pytest.skip(str(busy))
    assert rows
    for row in rows:
        record_property(f"{row.benchmark}: {row.variant}", row.median)
    assert [row.miss() for row in rows if not row.within(LEEWAY[name])] == []

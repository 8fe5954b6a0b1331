"""A patch's functions take the place of the emulator's."""

from __future__ import annotations

import asyncio
from types import ModuleType
from typing import Any

import pytest

from local_cloud.core import emulator
from local_cloud.core.patching import Handler, extends, install, replaces


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Any:
    """An emulated service with an action and a function."""
    module: Any = ModuleType("ministack.services.fake")
    module._ACTION_MAP = {"ListTasks": lambda data: f"listed {data}", "StopTask": lambda data: f"stopped {data}"}
    module._stop_task = module._ACTION_MAP["StopTask"]
    monkeypatch.setattr(emulator, "service", {"fake": module, "iam": module}.__getitem__)
    return module


def patch(**functions: Handler) -> ModuleType:
    module = ModuleType("patch")
    vars(module).update(functions)
    return module


@extends("fake", "ListTasks")
def politely(list_all: Handler, data: str) -> str:
    return f"please, {list_all(data)}"


@extends("fake", "ListTasks")
def twice(list_all: Handler, data: str) -> str:
    return f"{list_all(data)}, {list_all(data)}"


@replaces("fake", "StopTask")
@replaces("fake", "_stop_task")
def drain(data: str) -> str:
    return f"drained {data}"


def test_an_action_is_extended(service: Any) -> None:
    install(patch(politely=politely))
    assert service._ACTION_MAP["ListTasks"]("a") == "please, listed a"


def test_a_later_patch_extends_what_an_earlier_one_put_in_place(service: Any) -> None:
    install(patch(politely=politely))
    install(patch(twice=twice))
    assert service._ACTION_MAP["ListTasks"]("a") == "please, listed a, please, listed a"


def test_one_function_takes_several_places(service: Any) -> None:
    install(patch(drain=drain, unmarked=print))
    assert service._ACTION_MAP["StopTask"]("a") == "drained a"
    assert service._stop_task("a") == "drained a"
    assert service._ACTION_MAP["ListTasks"]("a") == "listed a"


def test_an_action_that_the_emulator_lacks_is_added(service: Any) -> None:
    @replaces("fake", "StopServiceDeployment")
    def stop(data: str) -> str:
        return data

    install(patch(stop=stop))
    assert service._ACTION_MAP["StopServiceDeployment"]("a") == "a"


def test_what_the_emulator_lacks_cannot_be_extended(service: Any) -> None:
    with pytest.raises(KeyError, match="_lacking"):
        install(patch(lacking=extends("fake", "_lacking")(lambda original: original)))


def test_the_methods_of_an_object_have_its_state(service: Any) -> None:
    class Counting:
        def __init__(self) -> None:
            self.calls = 0

        @property
        def unread(self) -> int:
            raise AssertionError("installing reads no property")

        @extends("fake", "ListTasks")
        def count(self, list_all: Handler, data: str) -> Any:
            self.calls += 1
            return list_all(data)

    counting = Counting()
    install(counting)
    assert service._ACTION_MAP["ListTasks"]("a") == "listed a"
    assert counting.calls == 1


def test_a_coroutine_stays_one(service: Any) -> None:
    async def handle(data: str) -> str:
        return f"handled {data}"

    @extends("fake", "handle_request")
    async def verified(handle: Handler, data: str) -> str:
        return f"verified, {await handle(data)}"

    service.handle_request = handle
    install(patch(verified=verified))
    assert asyncio.run(service.handle_request("a")) == "verified, handled a"


def test_iam_has_a_table_of_another_name(service: Any) -> None:
    service._IAM_HANDLERS = {}
    install(patch(create=replaces("iam", "CreateRole")(drain)))
    assert service._IAM_HANDLERS["CreateRole"]("a") == "drained a"

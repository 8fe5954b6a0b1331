"""The cost surge is put into the local cloud and removed completely."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from fargate_ops.core.problem import OperationsError
from fargate_ops.drill import cost_surge
from fargate_ops.drill.cost_surge_seed import remove, require_address, seed

BEFORE: dict[str, Any] = {"groups": []}


class Costs(http.server.BaseHTTPRequestHandler):
    """Stores one document, as the local cloud does."""

    document: dict[str, Any] = BEFORE

    def _answer(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(Costs.document).encode())

    do_GET = _answer

    def do_PUT(self) -> None:
        Costs.document = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._answer()

    def log_message(self, format: str, *args: object) -> None:
        """Tests need no access log."""


@pytest.fixture
def address() -> Iterator[str]:
    Costs.document = BEFORE
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Costs)
    threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


class Duplicate(Exception):
    """A budget of this name already exists."""


class Aws:
    """Budgets and EC2, with the kinds of resources that exist."""

    exceptions = SimpleNamespace(DuplicateRecordException=Duplicate)

    def __init__(self) -> None:
        self.there: set[str] = set()

    def client(self, _: str) -> Any:
        return self

    def create_budget(self, Budget: dict[str, Any], **_: Any) -> None:
        if Budget["BudgetName"] in self.there:
            raise Duplicate
        self.there.add(Budget["BudgetName"])

    def create_volume(self, **_: Any) -> Any:
        self.there.add("vol-1")
        return {"VolumeId": "vol-1"}

    def allocate_address(self, **_: Any) -> Any:
        self.there.add("eip-1")
        return {"AllocationId": "eip-1"}

    def _remove(self, name: str) -> None:
        if name not in self.there:
            raise ClientError({"Error": {"Code": "NotFound", "Message": name}}, "Delete")
        self.there.remove(name)

    def delete_budget(self, BudgetName: str, **_: Any) -> None:
        self._remove(BudgetName)

    def delete_volume(self, VolumeId: str) -> None:
        self._remove(VolumeId)

    def release_address(self, AllocationId: str) -> None:
        self._remove(AllocationId)


def test_all_that_is_seeded_is_removed_and_the_costs_are_those_of_before(address: str) -> None:
    aws = Aws()
    seeded = seed(aws, address, "000000000000", "ap-northeast-2")
    assert seeded == {"costs": BEFORE, "volume": "vol-1", "address": "eip-1"}
    assert Costs.document == json.loads(json.dumps(cost_surge.document("000000000000", "ap-northeast-2")))
    assert aws.there == {cost_surge.BUDGET, "vol-1", "eip-1"}
    remove(aws, address, "000000000000", seeded)
    assert Costs.document == BEFORE
    assert not aws.there


def test_what_a_killed_drill_left_is_taken_over_and_what_is_gone_stays_gone(address: str) -> None:
    aws = Aws()
    aws.there = {cost_surge.BUDGET}
    seeded = seed(aws, address, "000000000000", "ap-northeast-2")
    aws.there.remove("vol-1")
    remove(aws, address, "000000000000", seeded)
    assert not aws.there
    remove(aws, address, "000000000000", {})
    assert Costs.document == {}


def test_aws_s_own_costs_are_not_seeded() -> None:
    assert require_address({"AWS_ENDPOINT_URL_COST_EXPLORER": "http://127.0.0.1:1"}) == "http://127.0.0.1:1"
    with pytest.raises(OperationsError, match=r"cannot be seeded\. Next: make drill DRILL=cost_surge ENV=local$"):
        require_address({})


def test_a_local_cloud_that_does_not_answer_is_named() -> None:
    with pytest.raises(OperationsError, match=r"^the local cloud does not take the seed: .*\. Next: make infra$"):
        seed(Aws(), "http://127.0.0.1:9", "000000000000", "ap-northeast-2")

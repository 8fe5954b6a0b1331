"""AWS calls of the report. A failed call becomes a named gap; paid calls are counted and limited.

An incomplete report names the missing part, the reason and the next step, so AWS errors are not raised.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import Any, Protocol, TypeVar

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from fargate_ops.cost.money import ZERO, cents
from fargate_ops.cost.prices import CLOUDWATCH_METRIC, COST_EXPLORER_PAGE, Prices

T = TypeVar("T")

POLICY = "roles/cost_report/files/policy.json"
ENROL = "aws compute-optimizer update-enrollment-status --status Active"

#: No API can do this: https://docs.aws.amazon.com/cost-management/latest/userguide/ce-enable.html
ENABLE_COST_EXPLORER = (
    "open Cost Explorer once in the console (Billing and Cost Management, as the management account), "
    "wait 24 h, then the same command"
)
#: Part of AWS's AccessDeniedException in an account that has never opened Cost Explorer:
#: https://github.com/aws-samples/aws-cost-explorer-report/issues/15
_NO_COST_EXPLORER = "not enabled for cost explorer"

_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError", "403"})
_NOT_ENROLLED = frozenset({"OptInRequiredException", "OptInRequired", "SubscriptionRequiredException"})
_NO_DATA = frozenset({"DataUnavailableException"})


class Clients(Protocol):
    """A source of AWS clients for one account, by boto3's service names."""

    def client(self, service: str, region: str) -> Any: ...


class LimitReached(Exception):
    """Another paid call would exceed the report's limit. `next_step` says how to raise it."""

    def __init__(self, why: str, next_step: str) -> None:
        super().__init__(why)
        self.next_step = next_step


class Meter:
    """Counts paid calls of all accounts together, and enforces the limits."""

    def __init__(self, *, pages: int, metrics: int) -> None:
        self._limits = {"pages": pages, "metrics": metrics}
        self._counts = {"pages": 0, "metrics": 0}
        self._lock = threading.Lock()

    def page(self) -> None:
        """Count one page of Cost Explorer before it is requested. Raises LimitReached."""
        self._take("pages", 1, "pages of Cost Explorer", "cost_report_paid_pages_max")

    def metrics(self, count: int) -> None:
        """Count `count` CloudWatch metrics before they are requested. Raises LimitReached."""
        self._take("metrics", count, "metrics of CloudWatch", "cost_report_paid_metrics_max")

    def _take(self, name: str, count: int, what: str, variable: str) -> None:
        with self._lock:
            if self._counts[name] + count > self._limits[name]:
                raise LimitReached(
                    f"the limit of {self._limits[name]} paid {what} was reached",
                    f"the same command with -e {variable}=<more>",
                )
            self._counts[name] += count

    def as_row(self) -> dict[str, Any]:
        """``{"pages": 7, "pages_max": 40, "metrics": 12, "metrics_max": 2000, "usd": Decimal("0.07")}``"""
        with self._lock:
            price = self._counts["pages"] * COST_EXPLORER_PAGE + self._counts["metrics"] * CLOUDWATCH_METRIC
            limits = {f"{name}_max": limit for name, limit in self._limits.items()}
            return {**self._counts, **limits, "usd": cents(price)}


@dataclass(frozen=True, kw_only=True, order=True)
class Gap:
    """A missing part of the report. `kind`: denied, not_enrolled, not_enough_data, limit, failed or missing."""

    account: str
    region: str
    what: str
    kind: str
    why: str
    next: str

    def as_row(self) -> dict[str, Any]:
        return asdict(self)


@dataclass
class Gaps:
    """All gaps of a report. Thread-safe."""

    found: list[Gap] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, gap: Gap) -> None:
        with self._lock:
            self.found.append(gap)


@dataclass(frozen=True)
class Scope:
    """One account in one region, with the means to query it. `region` is ``global`` for services of the account."""

    account: str
    region: str
    clients: Clients
    gaps: Gaps
    meter: Meter
    prices: Prices

    def client(self, service: str) -> Any:
        # AWS serves account-wide services in us-east-1.
        return self.clients.client(service, "us-east-1" if self.region == "global" else self.region)

    def gap(self, what: str, kind: str, why: str, next_step: str = "") -> None:
        self.gaps.add(Gap(account=self.account, region=self.region, what=what, kind=kind, why=why, next=next_step))

    def all_of(self, what: str, found: Iterable[T]) -> list[T]:
        """Return all items of `found`; after an AWS error, the items so far, and add a gap named `what`."""
        kept: list[T] = []
        try:
            for item in found:
                kept.append(item)
        except (ClientError, BotoCoreError, LimitReached) as error:
            self.gap(f"{what}: incomplete" if kept else what, *explain(error))
        return kept

    def misses(self, what: str) -> bool:
        """Return whether a gap of that name exists."""
        return any(
            (gap.account, gap.region) == (self.account, self.region) and gap.what in (what, f"{what}: incomplete")
            for gap in self.gaps.found
        )

    def one(self, what: str, call: Callable[[], T]) -> T | None:
        """Return the result of `call`; after an AWS error, add a gap and return None."""
        return next(iter(self.all_of(what, (call() for _ in range(1)))), None)


def explain(error: Exception) -> tuple[str, str, str]:
    """Return the kind of a gap, its reason and the next step."""
    if isinstance(error, LimitReached):
        return "limit", str(error), error.next_step
    if isinstance(error, ClientError):
        code = str(error.response["Error"].get("Code", ""))
        said = str(error.response["Error"].get("Message") or code)
        if _NO_COST_EXPLORER in said.lower():
            return "not_enrolled", "Cost Explorer is not enabled in this account", ENABLE_COST_EXPLORER
        if code in _DENIED or error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") == 403:
            return "denied", f"{error.operation_name} was denied: {said}", f"give the role the policy {POLICY}"
        if code in _NOT_ENROLLED:
            return "not_enrolled", f"not enrolled: {said}", ENROL
        if code in _NO_DATA:
            return "not_enough_data", f"not enough data: {said}", "the same command in a day or two"
        return "failed", f"{error.operation_name} failed: {code}: {said}", "the same command again"
    if isinstance(error, NoCredentialsError):
        return "failed", "no credentials", "sign in, then the same command again"
    return "failed", f"AWS did not answer: {error}", "the same command again"


def pages(
    call: Callable[..., dict[str, Any]], token: str, *, meter: Meter | None = None, **request: Any
) -> Iterator[dict[str, Any]]:
    """Yield every page of `call`, for operations without a botocore paginator.

    `token` is the name of the pagination token in request and response.
    """
    while True:
        if meter:
            meter.page()
        answer = call(**request)
        yield answer
        following = answer.get(token)
        if not following:
            return
        request[token] = following


def everything(client: Any, operation: str, key: str, **request: Any) -> Iterator[Any]:
    """Yield each item under `key` of all pages, by botocore's paginator."""
    for page in client.get_paginator(operation).paginate(**request):
        yield from page.get(key, [])


def total(amounts: Iterable[Decimal]) -> Decimal:
    """Return the sum; 0.00 for none."""
    return sum(amounts, ZERO)

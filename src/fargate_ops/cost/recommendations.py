"""Recommendations: one for each change, ranked by saving, each dollar counted once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from fargate_ops.cost.money import ZERO, cents

#: The aspect of a change that removes the resource, and so replaces all its other changes.
REMOVAL = "removal"


@dataclass(frozen=True, kw_only=True)
class Change:
    """One setting, by its Terraform name: ``Change("instance_class", "db.t4g.large", "db.t4g.medium")``."""

    name: str
    before: str
    after: str


@dataclass(frozen=True, kw_only=True)
class Recommendation:
    """One change that saves money.

    ``saving``: USD for a month of 30 days; None if unknown, and then ``problem`` has what is known.
    ``aspect`` names the changed property: of two recommendations for one aspect only the larger saving counts, and
    `REMOVAL` competes with all others together. ``resource`` is the display name, ``arn`` the ARN or an identifier.
    """

    account: str
    region: str
    kind: str
    source: str
    resource: str
    arn: str
    problem: str
    command: str
    aspect: str
    saving: Decimal | None
    changes: tuple[Change, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    owner: str = ""
    address: str = ""
    change: str = ""
    counted: bool = False

    def __post_init__(self) -> None:
        if self.saving is not None:
            object.__setattr__(self, "saving", cents(self.saving))


def tags_of(items: Iterable[Mapping[str, str]] | None) -> dict[str, str]:
    """Return AWS's list of tags as ``{"Owner": "ann"}``. Some services use lower-case keys."""
    return {
        str(item.get("Key", item.get("key"))): str(item.get("Value", item.get("value", ""))) for item in (items or [])
    }


def rank(recommendations: Iterable[Recommendation]) -> list[Recommendation]:
    """Sort by saving, largest first and unknown last, and mark those that count in the total.

    For one resource, either its removal counts or the changes of its other aspects, whichever saves more.
    """
    by_resource: dict[tuple[str, str, str], list[Recommendation]] = {}
    for item in recommendations:
        by_resource.setdefault((item.account, item.region, item.arn), []).append(item)
    judged = [item for group in by_resource.values() for item in _judge(group)]
    return sorted(judged, key=_order)


def _order(item: Recommendation) -> tuple[bool, Decimal, str, str, str, str, str]:
    saving = item.saving
    known = saving if saving is not None else ZERO
    return (
        saving is None,
        -known,
        item.account,
        item.region,
        item.resource,
        item.kind,
        item.aspect,
    )


def _judge(group: Sequence[Recommendation]) -> list[Recommendation]:
    best: dict[str, Recommendation] = {}
    for item in sorted(group, key=_order):
        if item.saving is not None:
            best.setdefault(item.aspect, item)
    removal = best.pop(REMOVAL, None)
    kept = list(best.values())
    if removal is not None and _sum(kept) <= _sum([removal]):
        kept = [removal]
    return [replace(item, counted=any(item is one for one in kept)) for item in group]


def _sum(recommendations: Iterable[Recommendation]) -> Decimal:
    return sum((item.saving or ZERO for item in recommendations), ZERO)


def total_saving(recommendations: Iterable[Recommendation]) -> Decimal:
    """Return the saving of all counted recommendations in a month of 30 days."""
    return _sum(item for item in recommendations if item.counted)

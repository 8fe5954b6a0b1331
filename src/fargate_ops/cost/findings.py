"""What could cost less: one finding for each change, in order of what it saves, each dollar counted once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from fargate_ops.cost.money import ZERO, cents

#: The aspect of a change after which the resource is gone, and every other change of it with it.
REMOVAL = "removal"


@dataclass(frozen=True, kw_only=True)
class Change:
    """One setting, by Terraform's name for it: ``Change("instance_class", "db.t4g.large", "db.t4g.medium")``."""

    name: str
    before: str
    after: str


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One change that saves money.

    ``saving`` is in USD for a month of 30 days; None when it cannot be known, and then ``problem`` says what is known.
    ``aspect`` names what is changed: of two findings of the same aspect only the larger counts, and `REMOVAL` stands
    against all others. ``resource`` is what people call it, ``arn`` (or an identifier) what AWS does.
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
    """``{"Owner": "ann"}`` of AWS's list of pairs, whichever case its members are in."""
    return {
        str(item.get("Key", item.get("key"))): str(item.get("Value", item.get("value", ""))) for item in (items or [])
    }


def rank(findings: Iterable[Finding]) -> list[Finding]:
    """Sorted by what they save, the largest first, unknown ones last; each with whether it counts in the total.

    For one resource, what counts is either its removal or the changes of its other aspects, whichever saves more.
    """
    by_resource: dict[tuple[str, str, str], list[Finding]] = {}
    for finding in findings:
        by_resource.setdefault((finding.account, finding.region, finding.arn), []).append(finding)
    judged = [finding for group in by_resource.values() for finding in _judge(group)]
    return sorted(judged, key=_order)


def _order(finding: Finding) -> tuple[bool, Decimal, str, str, str, str, str]:
    saving = finding.saving
    known = saving if saving is not None else ZERO
    return (
        saving is None,
        -known,
        finding.account,
        finding.region,
        finding.resource,
        finding.kind,
        finding.aspect,
    )


def _judge(group: Sequence[Finding]) -> list[Finding]:
    best: dict[str, Finding] = {}
    for finding in sorted(group, key=_order):
        if finding.saving is not None:
            best.setdefault(finding.aspect, finding)
    removal = best.pop(REMOVAL, None)
    kept = list(best.values())
    if removal is not None and _sum(kept) <= _sum([removal]):
        kept = [removal]
    return [replace(finding, counted=any(finding is one for one in kept)) for finding in group]


def _sum(findings: Iterable[Finding]) -> Decimal:
    return sum((finding.saving or ZERO for finding in findings), ZERO)


def total_saving(findings: Iterable[Finding]) -> Decimal:
    """What all that count save in a month of 30 days."""
    return _sum(finding for finding in findings if finding.counted)

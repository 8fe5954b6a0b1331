"""The listeners that HAProxy serves, with their rules. One for HTTPS needs an issued certificate and a security policy.

What AWS does: CreateListener and ModifyListener refuse another one, with CertificateNotFound, UnsupportedCertificate or
SSLPolicyNotFound (https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateListener.html).
Without this patch: the emulator stores any.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from local_cloud.acm.certificates import Certificates
from local_cloud.core import emulator
from local_cloud.core.config import CloudConfig
from local_cloud.core.patching import Handler, extends, install
from local_cloud.core.runtime import Cloud
from local_cloud.elbv2 import haproxy, ssl_policies
from local_cloud.elbv2.listener_rules import RuleHandlers, conditions, rules_of, shares
from local_cloud.elbv2.target_health import forwarded_groups

DEFAULT_IDLE_SECONDS = 60


def apply(cloud: Cloud, certificates: Certificates) -> Listeners:
    listeners = Listeners(cloud.config, certificates)
    rules = RuleHandlers(listeners.changed)
    install(rules)
    install(Handlers(certificates, rules, listeners.changed))
    return listeners


class Listeners:
    """The listeners that are served: those of one load balancer, an internet-facing one if there is any."""

    def __init__(self, config: CloudConfig, certificates: Certificates) -> None:
        self._alb = emulator.service("alb")
        self._ports = config.listener_ports
        self._certificates = certificates
        self._observers: list[Callable[[], None]] = []

    def observe(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` after every change of a listener or rule. It must return at once."""
        self._observers.append(callback)

    def changed(self) -> None:
        for callback in self._observers:
            callback()

    def settings(self) -> haproxy.Settings:
        """Return them for HAProxy. Without any, port 80 answers, because it is published at all times."""
        records = _served()
        if not records:
            return haproxy.Settings()
        ordered = sorted(records, key=lambda record: int(record["Port"]))
        thresholds: dict[str, int] = {}
        frontends = tuple(frontend for record in ordered if (frontend := self._frontend(record, thresholds)))
        groups = dict.fromkeys(group for record in ordered for group in _groups(record))
        return haproxy.Settings(
            frontends,
            self._idle_seconds(records[0]["LoadBalancerArn"]),
            tuple(haproxy.backend_of(group) for group in groups),
            thresholds,
        )

    def _frontend(self, record: Mapping[str, Any], thresholds: dict[str, int]) -> haproxy.Frontend | None:
        """Return how a listener is served, and add its weights; None if its certificate is missing."""
        tls = None
        if record["Protocol"] == "HTTPS":
            certificate = next((self._certificates.pem(arn) for arn in record.get("Certificates", [])), None)
            policy = ssl_policies.find(record["SslPolicy"])
            if certificate is None or policy is None:
                return None
            tls = haproxy.Tls(certificate, policy)
        rules = []
        for number, rule in enumerate(rules_of(record["ListenerArn"]), 1):
            matched = conditions(rule)
            action = self._action(record, rule["Actions"], f"t{record['Port']}_{number}", thresholds)
            if matched is not None and action is not None:
                rules.append(haproxy.Rule(matched, action))
        default = self._action(record, record["DefaultActions"], f"t{record['Port']}_0", thresholds)
        return haproxy.Frontend(record["Port"], tls, default or haproxy.Forward(), tuple(rules))

    def _action(
        self, record: Mapping[str, Any], actions: Sequence[Mapping[str, Any]], name: str, thresholds: dict[str, int]
    ) -> haproxy.Action | None:
        """Return the first action that is served, and add its weights; None if there is none."""
        for action in actions:
            if action["Type"] == "redirect":
                return self._redirect(record, action["RedirectConfig"])
            if action["Type"] == "fixed-response":
                fixed = action["FixedResponseConfig"]
                return haproxy.FixedResponse(int(fixed["StatusCode"]), fixed["ContentType"], fixed["MessageBody"])
            if groups := shares(action):
                return _forward(groups, name, thresholds)
        return None

    def _redirect(self, record: Mapping[str, Any], to: Mapping[str, Any]) -> haproxy.Redirect:
        scheme = to["Protocol"].replace("#{protocol}", record["Protocol"]).lower()
        port = int(to["Port"].replace("#{port}", str(record["Port"])))
        origin = f"{scheme}://%[req.hdr(host),host_only]:{self._ports.get(port, port)}"
        return haproxy.Redirect(int(to["StatusCode"].removeprefix("HTTP_")), origin)

    def _idle_seconds(self, balancer: str) -> int:
        _, _, _, region, account, *_ = balancer.split(":")
        for attribute in self._alb._lb_attrs.get_scoped(account, region, balancer) or []:
            if attribute["Key"] == "idle_timeout.timeout_seconds":
                return int(attribute["Value"])
        return DEFAULT_IDLE_SECONDS


def _forward(groups: Sequence[tuple[str, int]], name: str, thresholds: dict[str, int]) -> haproxy.Forward:
    """Return a forward action. A request's random number is below the threshold of the group that it goes to."""
    if len(groups) == 1:
        return haproxy.Forward({haproxy.backend_of(groups[0][0]): ""})
    groups = sorted(groups)  # another order of the same groups is no change that needs a reload
    total = sum(weight for _, weight in groups)
    below = itertools.accumulate(weight for _, weight in groups)
    choices = {haproxy.backend_of(group): f"{name}_{number}" for number, (group, _) in enumerate(groups)}
    thresholds |= {
        key: haproxy.DRAWS * weight // total if total else 0
        for key, weight in zip(choices.values(), below, strict=True)
    }
    return haproxy.Forward(choices)


@dataclasses.dataclass(frozen=True)
class Served:
    """The load balancer and the target groups that HAProxy serves, by their ARNs."""

    balancer: str
    groups: tuple[str, ...]


def served() -> Served | None:
    """Return the target groups that the served listeners and their rules forward to."""
    records = _served()
    groups = dict.fromkeys(group for record in records for group in _groups(record))
    return Served(records[0]["LoadBalancerArn"], tuple(groups)) if groups else None


def associations() -> Iterator[tuple[str, str]]:
    """Yield each load balancer with each target group that one of its listeners or rules forwards to."""
    for record in list(emulator.service("alb")._listeners._data.values()):
        yield from ((record["LoadBalancerArn"], group) for group in _groups(record))


def _served() -> Sequence[Mapping[str, Any]]:
    """Return the records of the listeners that are served."""
    alb = emulator.service("alb")
    records = [item for item in list(alb._listeners._data.values()) if item["Port"] in haproxy.PORTS]
    balancers = list(alb._lbs._data.values())  # the emulator's threads change it
    for balancer in sorted(balancers, key=lambda item: bool(item["Scheme"] == "internal")):
        own = [item for item in records if item["LoadBalancerArn"] == balancer["LoadBalancerArn"]]
        if any(_groups(record) for record in own):
            return own
    return []


def _groups(record: Mapping[str, Any]) -> list[str]:
    """Return the target groups that a listener and its rules forward to."""
    actions = [
        *record["DefaultActions"],
        *(item for rule in rules_of(record["ListenerArn"]) for item in rule["Actions"]),
    ]
    return [group for action in actions for group in forwarded_groups(action)]


class Handlers:
    """The actions on listeners."""

    def __init__(self, certificates: Certificates, rules: RuleHandlers, changed: Callable[[], None]) -> None:
        self._alb = emulator.service("alb")
        self._certificates = certificates
        self._rules = rules
        self._changed = changed

    @extends("alb", "CreateListener")
    @extends("alb", "ModifyListener")
    def change_listener(self, change: Handler, params: dict[str, Any]) -> Any:
        refusal = self._refusal(params) or self._rules.refusal(params, "DefaultActions")
        return refusal or self._then(change(params))

    @extends("alb", "DeleteListener")
    def delete_listener(self, delete: Handler, params: dict[str, Any]) -> Any:
        return self._then(delete(params))

    def _then(self, answer: Any) -> Any:
        self._changed()
        return answer

    def _refusal(self, params: dict[str, Any]) -> Any:
        """Return the error of a request; None if it has none."""
        policy = self._alb._p(params, "SslPolicy")
        if policy and ssl_policies.find(policy) is None:
            return self._alb._error("SSLPolicyNotFound", f"SSL policy '{policy}' not found")
        for arn in self._alb._parse_certificate_arns(params):
            record = emulator.service("acm")._get_local_certificate(arn)
            if record is None:
                return self._alb._error("CertificateNotFound", f"Certificate '{arn}' not found")
            if not self._certificates.issued(record):
                return self._alb._error(
                    "UnsupportedCertificate",
                    f"The certificate '{arn}' must have a fully-qualified domain name, a supported signature, and a "
                    "supported key size.",
                )
        return None

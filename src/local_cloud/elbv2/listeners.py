"""A listener for HTTPS needs an issued certificate and an existing security policy.

What AWS does: CreateListener and ModifyListener refuse another one, with CertificateNotFound, UnsupportedCertificate or
SSLPolicyNotFound (https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateListener.html).
Without this patch: the emulator stores any.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from local_cloud.acm.certificates import Certificates
from local_cloud.core import emulator
from local_cloud.core.config import CloudConfig
from local_cloud.core.patching import Handler, extends, install
from local_cloud.core.runtime import Cloud
from local_cloud.elbv2 import haproxy, ssl_policies
from local_cloud.elbv2.target_health import forwarded_groups

DEFAULT_IDLE_SECONDS = 60


def apply(cloud: Cloud, certificates: Certificates) -> Listeners:
    install(Handlers(certificates))
    return Listeners(cloud.config, certificates)


class Listeners:
    """The listeners that are served: those of one load balancer, an internet-facing one if there is any."""

    def __init__(self, config: CloudConfig, certificates: Certificates) -> None:
        self._alb = emulator.service("alb")
        self._ports = config.listener_ports
        self._certificates = certificates

    def settings(self) -> haproxy.Settings:
        """Return them for HAProxy. Without any, port 80 answers, because it is published at all times."""
        records = _served()
        if not records:
            return haproxy.Settings()
        ordered = sorted(records, key=lambda record: int(record["Port"]))
        frontends = tuple(frontend for record in ordered if (frontend := self._frontend(record)))
        return haproxy.Settings(frontends, self._idle_seconds(records[0]["LoadBalancerArn"]))

    def _frontend(self, record: Mapping[str, Any]) -> haproxy.Frontend | None:
        """Return how a listener is served; None if its certificate is missing."""
        tls = None
        if record["Protocol"] == "HTTPS":
            certificate = next((self._certificates.pem(arn) for arn in record.get("Certificates", [])), None)
            policy = ssl_policies.find(record["SslPolicy"])
            if certificate is None or policy is None:
                return None
            tls = haproxy.Tls(certificate, policy)
        return haproxy.Frontend(record["Port"], tls, self._redirect(record))

    def _redirect(self, record: Mapping[str, Any]) -> haproxy.Redirect | None:
        for action in record["DefaultActions"]:
            if action["Type"] == "redirect":
                to = action["RedirectConfig"]
                scheme = to["Protocol"].replace("#{protocol}", record["Protocol"]).lower()
                port = int(to["Port"].replace("#{port}", str(record["Port"])))
                origin = f"{scheme}://%[req.hdr(host),host_only]:{self._ports.get(port, port)}"
                return haproxy.Redirect(int(to["StatusCode"].removeprefix("HTTP_")), origin)
        return None

    def _idle_seconds(self, balancer: str) -> int:
        _, _, _, region, account, *_ = balancer.split(":")
        for attribute in self._alb._lb_attrs.get_scoped(account, region, balancer) or []:
            if attribute["Key"] == "idle_timeout.timeout_seconds":
                return int(attribute["Value"])
        return DEFAULT_IDLE_SECONDS


@dataclasses.dataclass(frozen=True)
class Served:
    """The load balancer and the target group that HAProxy serves, by their ARNs."""

    balancer: str
    group: str


def served_group() -> Served | None:
    """Return the target group that the served listeners forward to by default."""
    for record in _served():
        for group in _groups(record):
            return Served(record["LoadBalancerArn"], group)
    return None


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
    """Return the target groups that a listener forwards to by default."""
    return [group for action in record["DefaultActions"] for group in forwarded_groups(action)]


class Handlers:
    """The actions on listeners."""

    def __init__(self, certificates: Certificates) -> None:
        self._alb = emulator.service("alb")
        self._certificates = certificates

    @extends("alb", "CreateListener")
    def create_listener(self, create: Handler, params: dict[str, Any]) -> Any:
        return self._refusal(params) or create(params)

    @extends("alb", "ModifyListener")
    def modify_listener(self, modify: Handler, params: dict[str, Any]) -> Any:
        return self._refusal(params) or modify(params)

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

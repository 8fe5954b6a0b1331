"""ACM issues a certificate once its domain is validated, and a load balancer can serve with it.

What AWS does:
- A requested certificate is PENDING_VALIDATION until each of its CNAME records can be resolved; then it is ISSUED
  (https://docs.aws.amazon.com/acm/latest/userguide/dns-validation.html).
- An imported certificate has the names that the certificate itself contains
  (https://docs.aws.amazon.com/acm/latest/APIReference/API_ImportCertificate.html).
- A certificate that a load balancer uses cannot be deleted
  (https://docs.aws.amazon.com/acm/latest/APIReference/API_DeleteCertificate.html).

Without this patch: the emulator calls each certificate issued at once, its content is no certificate, and it can be
deleted at any time.

Differences from AWS: the local cloud's authority signs, and clients must be configured to trust it. The certificate
also names this machine's loopback address, where the load balancer is published. Any hosted zone of the emulator counts
as public DNS. Certificates are not renewed.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Iterator, Mapping
from typing import Any

from cryptography import x509

from local_cloud.core import authority, emulator
from local_cloud.core.config import CloudConfig
from local_cloud.core.patching import Handler, extends, install, replaces
from local_cloud.core.runtime import Cloud

logger = logging.getLogger(__name__)


def apply(cloud: Cloud) -> Certificates:
    certificates = Certificates(cloud.config)
    install(Handlers(certificates))
    return certificates


class Certificates:
    """The certificates with their keys, which the emulator's state does not keep: one file (PEM) each."""

    def __init__(self, config: CloudConfig) -> None:
        self._config = config
        self._acm = emulator.service("acm")
        self._directory = config.work_dir / "certificates"
        self._lock = threading.Lock()

    def pem(self, arn: str) -> str | None:
        """Return an issued certificate with its key and its chain; None if there is none of this ARN."""
        record = self._find(arn)
        if record is None or not self.issued(record):
            return None
        path = self._directory / self._name(arn)
        return path.read_text() if path.exists() else None

    def issued(self, record: dict[str, Any]) -> bool:
        """Return whether a certificate is issued. Issue it if its domain has been validated since."""
        with self._lock:
            if record["Status"] == "PENDING_VALIDATION" and all(
                self._resolves(option["ResourceRecord"]) for option in record["DomainValidationOptions"]
            ):
                self._issue(record)
            return bool(record["Status"] == "ISSUED")

    def keep(self, arn: str, *parts: str) -> None:
        """Write the file of a certificate: itself, its key and its chain."""
        self._directory.mkdir(mode=0o700, exist_ok=True)
        path = self._directory / self._name(arn)
        path.touch(mode=0o600)
        path.write_text("".join(f"{part.strip()}\n" for part in parts if part))

    def forget(self, arn: str) -> None:
        (self._directory / self._name(arn)).unlink(missing_ok=True)

    def users(self, arn: str) -> list[str]:
        """Return the load balancers whose listeners use a certificate."""
        listeners = list(emulator.service("alb")._listeners._data.values())
        return sorted({item["LoadBalancerArn"] for item in listeners if arn in item.get("Certificates", [])})

    def _issue(self, record: dict[str, Any]) -> None:
        names = [*record["SubjectAlternativeNames"], "localhost"]
        body, key = authority.issue(self._config, names, [self._config.loopback_address])
        chain, _ = authority.ensure(self._config)
        self.keep(record["CertificateArn"], body, key, chain)
        for option in record["DomainValidationOptions"]:
            option["ValidationStatus"] = "SUCCESS"
        record |= {"Status": "ISSUED", "_pem_body": body, "_pem_chain": chain, "IssuedAt": self._acm.now_iso()}
        logger.info("%s is issued for %s", record["CertificateArn"], record["DomainName"])

    def _find(self, arn: str) -> dict[str, Any] | None:
        """Return a record independent of the account and region of the caller's thread."""
        parts = arn.split(":")
        found: dict[str, Any] | None = self._acm._certificates.get_scoped(parts[4], parts[3], arn)
        return found

    @staticmethod
    def _resolves(wanted: Mapping[str, str]) -> bool:
        zones = list(emulator.service("route53")._records._data.values())
        return any(
            record["Name"] == wanted["Name"]
            and record["Type"] == wanted["Type"]
            and wanted["Value"].rstrip(".") in (value.rstrip(".") for value in record.get("ResourceRecords", []))
            for records in zones
            for record in records
        )

    @staticmethod
    def _name(arn: str) -> str:
        return f"{arn.rsplit('/', 1)[-1]}.pem"


class Handlers:
    """The emulator's actions on certificates."""

    def __init__(self, certificates: Certificates) -> None:
        self._acm = emulator.service("acm")
        self._certificates = certificates

    @replaces("acm", "_validation_options")
    def validation_options(self, domain: str, method: str) -> dict[str, Any]:
        # A wildcard is validated by the record of its base domain.
        base = domain.removeprefix("*.")
        token = hashlib.sha256(base.encode()).hexdigest()[:32]
        return {
            "DomainName": domain,
            "ValidationMethod": method,
            "ValidationStatus": "PENDING_VALIDATION",
            "ResourceRecord": {
                "Name": f"_{token}.{base}.",
                "Type": "CNAME",
                "Value": f"_{token[::-1]}.acm-validations.aws.",
            },
        }

    @extends("acm", "_request_certificate")
    def request(self, request: Handler, data: dict[str, Any]) -> Any:
        answer = request(data)
        if answer[0] == 200:
            self._acm._certificates[emulator.parse(answer[2])["CertificateArn"]]["Status"] = "PENDING_VALIDATION"
        return answer

    @extends("acm", "_describe_certificate")
    def describe(self, describe: Handler, data: dict[str, Any]) -> Any:
        arn = data.get("CertificateArn", "")
        record = self._acm._get_local_certificate(arn)
        if record is not None:
            self._certificates.issued(record)
            record["InUseBy"] = self._certificates.users(arn)
        return describe(data)

    @extends("acm", "_get_certificate")
    def get(self, get: Handler, data: dict[str, Any]) -> Any:
        record = self._acm._get_local_certificate(data.get("CertificateArn", ""))
        if record is not None and not self._certificates.issued(record):
            return self._acm.error_response_json(
                "RequestInProgressException", f"Certificate {record['CertificateArn']} is not issued yet.", 400
            )
        return get(data)

    @extends("acm", "_import_certificate")
    def import_certificate(self, import_certificate: Handler, data: dict[str, Any]) -> Any:
        body = self._acm._decode_pem_field(data.get("Certificate"))
        try:
            names = list(_names(x509.load_pem_x509_certificate(body.encode())))
        except ValueError:
            return self._acm.error_response_json("ValidationException", "The certificate is not valid.", 400)
        answer = import_certificate(data)
        if answer[0] == 200:
            arn = emulator.parse(answer[2])["CertificateArn"]
            record = self._acm._certificates[arn]
            record |= {"DomainName": names[0], "SubjectAlternativeNames": names}
            self._certificates.keep(arn, body, record["_private_key"], record["_pem_chain"])
        return answer

    @extends("acm", "_delete_certificate")
    def delete(self, delete: Handler, data: dict[str, Any]) -> Any:
        arn = data.get("CertificateArn", "")
        if self._acm._get_local_certificate(arn) is not None and self._certificates.users(arn):
            return self._acm.error_response_json("ResourceInUseException", f"Certificate {arn} is in use.", 400)
        answer = delete(data)
        if answer[0] == 200:
            self._certificates.forget(arn)
        return answer


def _names(certificate: x509.Certificate) -> Iterator[str]:
    """Return the common name, then the other DNS names."""
    common = [str(item.value) for item in certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)]
    try:
        others = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        alternatives = others.get_values_for_type(x509.DNSName)
    except x509.ExtensionNotFound:
        alternatives = []
    found = list(dict.fromkeys([*common, *alternatives]))
    if not found:
        raise ValueError("it has no name")
    yield from found

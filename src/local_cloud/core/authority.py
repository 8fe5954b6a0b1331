"""The certificate authority of the local cloud, for databases and ACM. It lasts as long as the local environment.

The application's image contains its certificate, as it contains RDS's bundle on AWS, and connects with
``sslmode=verify-full``. With a new authority at each start, images built earlier could not connect.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from local_cloud.core import emulator
from local_cloud.core.config import CloudConfig

_VALID = dt.timedelta(days=3650)


def certificate_file(config: CloudConfig) -> Path:
    """Return the path of the authority's certificate (PEM). Its key is beside it, readable by the owner only."""
    return config.work_dir / "rds-ca.pem"


def ensure(config: CloudConfig) -> tuple[str, str]:
    """Return the authority's certificate and key, both PEM. Create them if they do not exist."""
    certificate = certificate_file(config)
    key = certificate.with_suffix(".key")
    if not (certificate.exists() and key.exists()):
        certificate_pem, key_pem = _make(f"Local RDS {config.region} {config.instance} root CA")
        key.touch(mode=0o600)
        key.write_text(key_pem)
        certificate.write_text(certificate_pem)
    return certificate.read_text(), key.read_text()


def issue(config: CloudConfig, names: Sequence[str], addresses: Sequence[str]) -> tuple[str, str]:
    """Return a server certificate for these names and addresses, and its key, both PEM."""
    certificate, key, _public = emulator.core("x509_utils").sign_leaf_certificate(
        *ensure(config), common_name=names[0], san_dns=[*names], san_ips=[*addresses]
    )
    return certificate, key


def _make(common_name: str) -> tuple[str, str]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    public = key.public_key()
    now = dt.datetime.now(dt.UTC)
    usage = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + _VALID)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .sign(key, hashes.SHA256())
    )
    key_pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate.public_bytes(serialization.Encoding.PEM).decode(), key_pem.decode()

"""A certificate authority of the local stack's own, and the certificates of its servers and clients as PEM files."""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from local_stack.ports import LOOPBACK

_DAYS = 3650
_BACKDATED = timedelta(hours=1)  # clients' clocks may be behind


@dataclass(frozen=True, slots=True)
class Certificates:
    """PEM files in one folder: the authority, and certificate with key of a server on loopback and of a client.

    `server_store` holds the server's key and certificate in one file, as Kafka reads them.
    """

    folder: Path

    @property
    def authority(self) -> Path:
        return self.folder / "ca.pem"

    @property
    def server(self) -> Path:
        return self.folder / "server.pem"

    @property
    def server_key(self) -> Path:
        return self.folder / "server.key"

    @property
    def server_store(self) -> Path:
        return self.folder / "server-store.pem"

    @property
    def client(self) -> Path:
        return self.folder / "client.pem"

    @property
    def client_key(self) -> Path:
        return self.folder / "client.key"


def make_certificates(folder: Path, client_name: str = "jobtrail") -> Certificates:
    """Make them unless the folder has them; the keys are readable by their owner only."""
    made = Certificates(folder)
    if made.client.exists():  # written last
        return made
    folder.mkdir(parents=True, exist_ok=True)
    authority_key, server_key, client_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
    issuer = _name("Jobtrail local authority")
    authority = _sign(issuer, authority_key.public_key(), issuer, authority_key, [_authority()])
    hosts = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address(LOOPBACK))])
    server = _sign(
        _name("localhost"),
        server_key.public_key(),
        issuer,
        authority_key,
        [hosts, x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])],
    )
    client = _sign(
        _name(client_name),
        client_key.public_key(),
        issuer,
        authority_key,
        [x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])],
    )
    _write(made.authority, _pem(authority), 0o644)
    _write(made.server, _pem(server), 0o644)
    _write(made.server_key, _key_pem(server_key), 0o600)
    _write(made.server_store, _key_pem(server_key) + _pem(server) + _pem(authority), 0o600)
    _write(made.client_key, _key_pem(client_key), 0o600)
    _write(made.client, _pem(client), 0o644)
    return made


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _authority() -> x509.ExtensionType:
    return x509.BasicConstraints(ca=True, path_length=0)


def _sign(
    subject: x509.Name,
    public: ec.EllipticCurvePublicKey,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    extensions: list[x509.ExtensionType],
) -> x509.Certificate:
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + timedelta(days=_DAYS))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
    return builder.sign(key, hashes.SHA256())


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write(path: Path, content: bytes, mode: int) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)

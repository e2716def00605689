"""A certificate authority of the lab's own, for servers that clients shall check as they do outside."""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LIFE = datetime.timedelta(days=7)


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, as PEM."""

    certificate: bytes
    key: bytes


def _builder(subject: str, issuer: str, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.timezone.utc)
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in (subject, issuer)]
    return x509.CertificateBuilder(
        subject_name=names[0],
        issuer_name=names[1],
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=now - datetime.timedelta(hours=1),  # clocks differ
        not_valid_after=now + LIFE,
    )


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    plain = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)


class Authority:
    """One authority; it lives as long as this object."""

    name = "permafrost lab authority"

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        may_sign = x509.BasicConstraints(ca=True, path_length=0)
        own = _builder(self.name, self.name, self._key).add_extension(may_sign, critical=True)
        self.certificate = own.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def server(self, address: str) -> Pair:
        """A certificate for a server at this IP address."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
        request = _builder(address, self.name, key).add_extension(names, critical=False)
        signed = request.add_extension(usage, critical=False).sign(self._key, hashes.SHA256())
        return Pair(signed.public_bytes(serialization.Encoding.PEM), _key_pem(key))

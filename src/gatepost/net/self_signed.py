"""A self-signed certificate for tests of TLS.

Only this module needs the package cryptography. Serving TLS uses Python's own ssl module.
"""

from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from ipaddress import IPv4Address, IPv6Address

VALID = timedelta(days=365)
# A client's clock may be slow.
SLACK = timedelta(days=1)


class MissingPackageError(Exception):
    """The package cryptography is not installed; the message has the command to install it."""


def self_signed(hostname: str, *addresses: IPv4Address | IPv6Address) -> tuple[str, str]:
    """Return a certificate for a host name and IP addresses, and its key, as PEM.

    Raises `MissingPackageError`.
    """
    if find_spec("cryptography") is None:
        raise MissingPackageError(
            "cannot make a certificate: expected the package cryptography,"
            " install it with pip install cryptography"
        )
    from cryptography import x509  # noqa: PLC0415 - an optional dependency
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415 - likewise
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415 - likewise

    key = ec.generate_private_key(ec.SECP256R1())
    names = [x509.DNSName(hostname), *map(x509.IPAddress, addresses)]
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, hostname)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SLACK)
        .not_valid_after(now + VALID)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return certificate.public_bytes(serialization.Encoding.PEM).decode(), private.decode()

"""TLS and users for the server of a test."""

from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path

from msgspec.structs import replace

from gatepost.auth.passwords import make_user
from gatepost.config.schema import CertificateConfig, Config
from gatepost.net.self_signed import self_signed
from gatepost.wire.sasl.verifier import SALT_SIZE

# A salt protects users files that leak, which that of a test may do.
_SALT = bytes(SALT_SIZE)


def with_certificate(config: Config, folder: Path) -> tuple[Config, str]:
    """Return the configuration with a certificate in `folder`, and the certificate as PEM.

    It is self-signed, for localhost and 127.0.0.1. A configuration that has certificates is
    returned unchanged, and "". Raises `gatepost.net.self_signed.MissingPackageError`.
    """
    if config.tls.certificates:
        return config, ""
    certificate, key = self_signed("localhost", ip_address("127.0.0.1"))
    paths = folder / "cert.pem", folder / "key.pem"
    for path, text in zip(paths, (certificate, key), strict=True):
        path.write_text(text)
    made = CertificateConfig(cert=str(paths[0]), key=str(paths[1]))
    return replace(config, tls=replace(config.tls, certificates=[made])), certificate


def with_users(config: Config, users: Mapping[str, str], folder: Path, *, clear: bool) -> Config:
    """Return the configuration with users and their passwords, in a file in `folder`.

    `clear` allows passwords without TLS. Raises `gatepost.wire.sasl.mechanism.SaslError` for a
    password that cannot be used.
    """
    path = folder / "users.auth"
    made = (make_user(name, password.encode(), _SALT) for name, password in users.items())
    path.write_text("".join(f"{user}\n" for user in made))
    return replace(config, auth=replace(config.auth, users=str(path), clear=clear))

"""The end of validity of a certificate, from its PEM file.

Python's ssl module does not show the certificate of a server's own context, and the package
cryptography is not required at run time. Of DER (X.690) and X.509 (RFC 5280 s4.1) only the way to
the field notAfter is read here.

Security: OpenSSL has accepted the file before, so a file that cannot be read here is not trusted
less. Anything unexpected is a ValueError.
"""

import ssl
from datetime import UTC, datetime

_BEGIN = "-----BEGIN CERTIFICATE-----"
_END = "-----END CERTIFICATE-----"
_SEQUENCE, _INTEGER, _VERSION = 0x30, 0x02, 0xA0
# UTCTime and GeneralizedTime (RFC 5280 s4.1.2.5).
_TIMES = {0x17: "%y%m%d%H%M%SZ", 0x18: "%Y%m%d%H%M%SZ"}


def expiry(pem: bytes) -> float:
    """Return when the first certificate expires, in seconds since 1970; raises ValueError."""
    text = pem.decode("ascii", "replace")
    begin = text.find(_BEGIN)
    end = text.find(_END, begin)
    if begin < 0 or end < 0:
        raise ValueError("expected a certificate in PEM form")
    certificate = ssl.PEM_cert_to_DER_cert(text[begin : end + len(_END)])
    return _not_after(memoryview(certificate))


def _not_after(certificate: memoryview) -> float:
    _, whole, _ = _element(certificate, _SEQUENCE)
    _, rest, _ = _element(whole, _SEQUENCE)
    if rest[:1] == bytes([_VERSION]):
        _, _, rest = _element(rest)
    _, _, rest = _element(rest, _INTEGER)  # serial number
    _, _, rest = _element(rest, _SEQUENCE)  # algorithm of the signature
    _, _, rest = _element(rest, _SEQUENCE)  # issuer
    _, validity, _ = _element(rest, _SEQUENCE)
    _, _, rest = _element(validity)
    kind, value, _ = _element(rest)
    if kind not in _TIMES:
        raise ValueError(f"expected a time, found type {kind:#x}")
    return _seconds(bytes(value).decode("ascii"), _TIMES[kind])


def _seconds(text: str, form: str) -> float:
    found = datetime.strptime(text, form).replace(tzinfo=UTC)
    if form.startswith("%y") and found.year >= 2050:  # RFC 5280: 50 to 99 are of the 20th century
        found = found.replace(year=found.year - 100)
    return found.timestamp()


def _element(data: memoryview, expected: int | None = None) -> tuple[int, memoryview, memoryview]:
    """Return the type and the content of the first element, and everything after it."""
    if len(data) < 2:
        raise ValueError("the certificate is truncated")
    kind, length, start = data[0], data[1], 2
    if length & 0x80:
        start += length & 0x7F
        length = int.from_bytes(data[2:start], "big")
    if expected not in (None, kind) or start + length > len(data):
        raise ValueError(f"expected an element of type {expected}, found {kind:#x}")
    return kind, data[start : start + length], data[start + length :]

"""Domain names and selectors of signatures, with internationalised ones as A-labels: RFC 8616."""

from gatepost.mailauth.dkim.fault import SignatureError
from gatepost.model.address import AddressError, parse_domain

# RFC 1035 section 2.3.4: octets of a name in the DNS, without the final dot.
_LONGEST_NAME = 253


def signing_domain(text: str) -> str:
    """Return a d= value in lower case and A-labels; raise `SignatureError`."""
    domain = _labels("d=", text)
    if "." not in domain:
        raise SignatureError("neutral", f"d= needs two labels, found {domain[:40]!r}")
    return domain


def selector(text: str) -> str:
    """Return an s= value in lower case and A-labels; raise `SignatureError`."""
    return _labels("s=", text)


def identity_domain(text: str) -> str:
    """Return the domain of an i= value in lower case and A-labels; raise `SignatureError`."""
    return _labels("i=", text)


def _labels(tag: str, text: str) -> str:
    try:
        if not text.endswith("."):
            return parse_domain(text)
    except AddressError:
        pass
    raise SignatureError("neutral", f"{tag} is not a domain name: {text[:80]!r}")


def key_name(selector: str, domain: str) -> str:
    """Return the name of a key record (RFC 6376 s3.6.2.1); raise `SignatureError`."""
    name = f"{selector}._domainkey.{domain}"
    if len(name) > _LONGEST_NAME:
        raise SignatureError("permerror", f"the name of the key is longer than {_LONGEST_NAME}")
    return name


def is_within(domain: str, parent: str) -> bool:
    """Return whether a domain is `parent` or one of its subdomains."""
    return domain == parent or domain.endswith("." + parent)

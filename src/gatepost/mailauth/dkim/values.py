"""The values of the tags in a signature: RFC 6376 section 3.5, RFC 8301, RFC 8463, RFC 8616.

All functions raise `SignatureError` for a value that is missing, malformed or not accepted.
"""

import re

from gatepost.mailauth.dkim.domains import identity_domain, is_within
from gatepost.mailauth.dkim.fault import SignatureError
from gatepost.mailauth.dkim.tags import TagError, decode_base64, split_list, without_white_space

# The fields that one signature may name. Real ones name up to 50.
MOST_NAMES = 1000

_ALGORITHMS = ("rsa-sha256", "ed25519-sha256")
_FORMS = ("simple", "relaxed")
_NUMBER = {"l": re.compile("[0-9]{1,76}"), "": re.compile("[0-9]{1,12}")}
_NAME = re.compile(r"[!-9<-~]*")
_HEX = re.compile(rb"=([0-9A-Fa-f]{2})")
_CONTROL = re.compile(r"[\0-\x1f\x7f]")

Tags = dict[str, str]


def require(tags: Tags, names: tuple[str, ...]) -> None:
    """Require tags that are not empty, except for h=, which may be."""
    for name in names:
        if name not in tags:
            raise SignatureError("neutral", f"the tag {name}= is missing")
        if not tags[name] and name != "h":
            raise SignatureError("neutral", f"the tag {name}= is empty")


def algorithm(tags: Tags) -> str:
    """Return a=: "rsa-sha256" or "ed25519-sha256"."""
    value = tags["a"]
    if value == "rsa-sha1":
        raise SignatureError("permerror", "the algorithm rsa-sha1 is not accepted")
    if value not in _ALGORITHMS:
        raise SignatureError("neutral", f"the algorithm {value[:20]!r} is not supported")
    return value


def canonicalizations(tags: Tags, default: str) -> tuple[str, str]:
    """Return c=: the forms of the header and of the body, "simple" or "relaxed"."""
    header, slash, body = tags.get("c", default).partition("/")
    body = body if slash else "simple"
    if header not in _FORMS or body not in _FORMS:
        raise SignatureError("neutral", f"the c= value {tags['c'][:20]!r} is not supported")
    return header, body


def octets(tags: Tags, name: str) -> bytes:
    """Return a value in base64: b= or bh=."""
    try:
        return decode_base64(tags[name])
    except TagError as error:
        raise SignatureError("neutral", f"{name}= {error}") from None


def names(tags: Tags) -> tuple[bytes, ...]:
    """Return h=: the names of the signed fields, in lower case."""
    values = [name.lower() for name in split_list(tags["h"])]
    if len(values) > MOST_NAMES:
        raise SignatureError("policy", f"h= has more than {MOST_NAMES} names")
    if not all(map(_NAME.fullmatch, values)):
        raise SignatureError("neutral", "h= is not a list of field names")
    return tuple(value.encode() for value in values if value)


def number(tags: Tags, name: str) -> int | None:
    """Return a decimal number: l=, t= or x=; None without the tag."""
    if name not in tags:
        return None
    if not _NUMBER.get(name, _NUMBER[""]).fullmatch(tags[name]):
        raise SignatureError("neutral", f"{name}= is not a number: {tags[name][:20]!r}")
    return int(tags[name])


def times(tags: Tags) -> tuple[int | None, int | None]:
    """Return t= and x=."""
    signed, expires = number(tags, "t"), number(tags, "x")
    if signed is not None and expires is not None and expires <= signed:
        raise SignatureError("permerror", "the signature expires (x=) before it was made (t=)")
    return signed, expires


def identity(tags: Tags, domain: str) -> str:
    """Return i= with its domain in A-labels, `@domain` without the tag."""
    if "i" not in tags:
        return f"@{domain}"
    local, at, host = _unquoted(tags["i"]).rpartition("@")
    if not at or _CONTROL.search(local):
        raise SignatureError("neutral", f"i= is not an identity: {tags['i'][:80]!r}")
    host = identity_domain(host)
    if not is_within(host, domain):
        raise SignatureError("permerror", f"i= {host} is not within d= {domain}")
    return f"{local}@{host}"


def _unquoted(text: str) -> str:
    """Decode dkim-quoted-printable: RFC 6376 section 2.11."""
    value = without_white_space(text).encode()
    return _HEX.sub(lambda code: bytes([int(code[1], 16)]), value).decode("utf-8", "replace")


def require_dns(tags: Tags) -> None:
    """Require that q=, if given, lists the DNS."""
    if "dns/txt" not in split_list(tags.get("q", "dns/txt").lower()):
        raise SignatureError("neutral", f"the q= value {tags['q'][:20]!r} is not supported")

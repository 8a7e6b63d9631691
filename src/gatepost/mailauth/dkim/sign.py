"""Sign a message: RFC 6376 section 5, with relaxed canonical forms of header and body.

The names of the fields that a reader sees are oversigned: h= names each once more than it occurs,
so a field that is added later invalidates the signature. Fields that lists and relays add for good
reasons are signed only if they occur.
"""

from collections.abc import Collection, Iterable, Iterator
from hashlib import sha256

from gatepost.mailauth.dkim import domains
from gatepost.mailauth.dkim.fault import SignatureError
from gatepost.mailauth.dkim.header_block import HeaderBlock, relaxed_field
from gatepost.mailauth.dkim.header_hash import signed_fields
from gatepost.mailauth.dkim.private_key import PrivateKey
from gatepost.mailauth.dkim.tags import shown_base64

OVERSIGNED = (
    *("From", "Reply-To", "To", "Cc", "Subject", "Date", "Message-ID", "In-Reply-To"),
    *("References", "MIME-Version", "Content-Type", "Content-Transfer-Encoding"),
)
SIGNED_IF_PRESENT = (
    *("Sender", "Resent-Date", "Resent-From", "Resent-To", "Resent-Cc", "Resent-Message-ID"),
    # RFC 8058 section 4: the signature must cover both fields of one-click unsubscription.
    *("List-Id", "List-Unsubscribe", "List-Unsubscribe-Post", "Auto-Submitted", "Feedback-ID"),
)
# Characters in a line, without CRLF: RFC 5322 section 2.1.1.
_WIDTH = 76
_SAFE = frozenset(range(0x21, 0x7F)) - set(b";=")


class SignError(ValueError):
    """A message that cannot be signed, or parameters that make no valid signature."""


def sign(
    header_block: bytes | HeaderBlock,
    body_hash: bytes,
    *,
    domain: str,
    selector: str,
    key: PrivateKey,
    headers: Collection[str] = OVERSIGNED,
    if_present: Collection[str] = SIGNED_IF_PRESENT,
    identity: str | None = None,
    now: float,
    expires: float | None = None,
) -> bytes:
    """Return a DKIM-Signature field with its final CRLF, to be put in front of the message.

    `body_hash` is `BodyHashes.for_signing`. `headers` are names of fields to be oversigned and must
    include From; `if_present` are signed as often as they occur. `identity` is i=, `now` (t=) and
    `expires` (x=) are Unix times. Raises `SignError`.
    """
    block = HeaderBlock.of(header_block)
    names = list(_names(block, headers, if_present))
    if b"from" not in names or not block.places(b"from"):
        raise SignError("expected a message with a From field, and From among the signed names")
    tags = _tags(domain, selector, identity)
    times = [f"t={int(now)}", *([] if expires is None else [f"x={int(expires)}"])]
    lines = _folded(
        [f"DKIM-Signature: v=1; a={key.algorithm}; c=relaxed/relaxed;"]
        + [f" {tag};" for tag in (*tags, *times)]
        + [" h=", *_names_text(names), ";"]
        + [f" bh={shown_base64(body_hash)};", " b="]
    )
    field = "\r\n".join(lines).encode()
    digest = sha256(signed_fields(block, names, "relaxed") + relaxed_field(field)).digest()
    signature = shown_base64(key.sign(digest))
    return field + _continued(signature, _WIDTH - len(lines[-1])) + b"\r\n"


def _names(
    block: HeaderBlock, oversigned: Iterable[str], if_present: Iterable[str]
) -> Iterator[bytes]:
    for names, more in ((oversigned, 1), (if_present, 0)):
        for name in names:
            key = name.lower().encode()
            yield from [key] * (len(block.places(key)) + more)


def _names_text(names: list[bytes]) -> list[str]:
    """Return the parts of h=, between which a line can be broken."""
    texts = [name.decode() for name in names]
    return [f"{text}:" for text in texts[:-1]] + texts[-1:]


def _tags(domain: str, selector: str, identity: str | None) -> list[str]:
    try:
        domain, selector = domains.signing_domain(domain), domains.selector(selector)
        domains.key_name(selector, domain)
        tags = [f"d={domain}", f"s={selector}"]
        return tags if identity is None else [*tags, f"i={_identity(identity, domain)}"]
    except SignatureError as error:
        raise SignError(str(error)) from None


def _identity(identity: str, domain: str) -> str:
    local, at, host = identity.rpartition("@")
    host = domains.identity_domain(host)
    if not at or not domains.is_within(host, domain):
        raise SignError(f"expected an identity within {domain}, found {identity!r}")
    return f"{_quoted(local)}@{host}"


def _quoted(text: str) -> str:
    """Encode dkim-quoted-printable: RFC 6376 section 2.11."""
    octets = text.encode()
    return "".join(chr(one) if one in _SAFE else f"={one:02X}" for one in octets)


def _folded(parts: list[str]) -> list[str]:
    """Return lines; a part that does not fit starts a new line, with a blank in front."""
    lines = [parts[0]]
    for part in parts[1:]:
        if len(lines[-1]) + len(part) > _WIDTH:
            lines.append(" " + part.lstrip())
        else:
            lines[-1] += part
    return lines


def _continued(text: str, room: int) -> bytes:
    """Return base64 in lines, of which the first has `room`."""
    lines = [text[:room]]
    lines += [text[at : at + _WIDTH - 1] for at in range(room, len(text), _WIDTH - 1)]
    return "\r\n ".join(lines).encode()

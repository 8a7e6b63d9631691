"""DKIM as RFC 6376 describes it, step by step: slow, for the comparison with what is fast.

It also makes signatures that `sign` refuses to make.
"""

import base64
import re
from hashlib import sha256


def body(octets: bytes, form: str) -> bytes:
    """Return the canonical body: RFC 6376 sections 3.4.3 and 3.4.4."""
    lines = octets.split(b"\r\n")
    if form == "relaxed":
        lines = [re.sub(rb"[ \t]+", b" ", line).rstrip(b" ") for line in lines]
    while lines and not lines[-1]:
        lines.pop()
    if not lines:
        return b"" if form == "relaxed" else b"\r\n"
    return b"\r\n".join(lines) + b"\r\n"


def field(octets: bytes, form: str) -> bytes:
    """Return a canonical field without CRLF: sections 3.4.1 and 3.4.2."""
    if form == "simple":
        return octets
    name, _, value = octets.partition(b":")
    value = re.sub(rb"[ \t]+", b" ", value.replace(b"\r\n", b""))
    return name.lower().rstrip(b" \t") + b":" + value.strip(b" ")


def fields(head: bytes) -> list[bytes]:
    return [one for one in re.split(rb"\r\n(?![ \t])", head) if one]


def signed_fields(head: bytes, names, form: str) -> bytes:
    """Return the fields of h=, each name from the bottom: section 5.4.2."""
    left = fields(head)
    found = []
    for name in names:
        for at in range(len(left) - 1, -1, -1):
            own = left[at].partition(b":")[0].rstrip(b" \t").lower()
            if own == name.lower().encode():
                found.append(field(left.pop(at), form) + b"\r\n")
                break
    return b"".join(found)


def signed(message: bytes, key, name="DKIM-Signature", **changed) -> bytes:
    """Return a message with a signature in front; `changed` tags replace the default ones.

    A tag that is None is left out. `b` and `bh` are computed unless they are given.
    """
    head, _, content = message.partition(b"\r\n\r\n")
    tags = {"v": "1", "a": key.algorithm, "c": "relaxed/relaxed", "d": "example.com", "s": "s1"}
    tags |= {"h": "from:subject", "bh": None} | changed
    forms = (tags["c"] or "simple/simple").split("/")
    if tags["bh"] is None and "bh" not in changed:
        length = int(tags["l"]) if str(tags.get("l")).isdigit() else None
        digest = sha256(body(content, forms[-1])[:length]).digest()
        tags["bh"] = base64.b64encode(digest).decode()
    given = tags.pop("b", None)
    texts = [f"{tag}={value}" for tag, value in tags.items() if value is not None]
    own = f"{name}: {'; '.join(texts)}; b=".encode()
    names = [one.strip() for one in (tags["h"] or "").split(":")]
    data = signed_fields(head, names, forms[0]) + field(own, forms[0])
    b64 = base64.b64encode(key.sign(sha256(data).digest())).decode() if given is None else given
    return own + b64.encode() + b"\r\n" + message

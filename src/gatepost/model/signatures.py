"""The signatures of a message, and which of them an edit invalidates: RFC 6376, RFC 8617.

A DKIM-Signature and an ARC-Message-Signature cover the body and the fields that their h= tag names.
A name that occurs more often than its field covers the absence of another such field.

Limits: MOST signatures are read. A body that is shorter in the signature (l=) counts as complete.
"""

import re
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from gatepost.model.headers import field_values

FIELDS = ("DKIM-Signature", "ARC-Message-Signature")
# A message has a few signatures. A sender with many cannot slow the server down.
MOST = 32
# A domain name has at most 255 octets. Longer text is not one.
_LONGEST_DOMAIN = 255

_TAG = re.compile(r"\s*([a-zA-Z]\w*)\s*=(.*)", re.DOTALL)


class Signature(NamedTuple):
    """One signature: `title` is its field and its domain, `names` the covered fields."""

    title: str
    names: list[str]


def signatures(block: bytes) -> Iterator[Signature]:
    """Yield the signatures in a header block; malformed ones cover what can be read."""
    for field in FIELDS:
        for value in islice(field_values(block, field), MOST):
            tags = dict(_tags(value))
            domain = tags.get("d", "")[:_LONGEST_DOMAIN] or "an unknown domain"
            names = [name.strip().lower() for name in tags.get("h", "").split(":")]
            yield Signature(f"{field} of {domain}", names)


def _tags(value: str) -> Iterator[tuple[str, str]]:
    for part in value.split(";"):
        tag = _TAG.match(part)
        if tag is not None:
            yield tag[1].lower(), tag[2].strip()

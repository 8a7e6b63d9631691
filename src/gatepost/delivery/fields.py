"""Fields in the text of a target, such as `{local}`: the names, and values from a recipient."""

import re
from collections.abc import Sequence

from gatepost.model.address import domain_key, local_key
from gatepost.model.session import Recipient

MAILBOX_FIELDS = ("local", "user", "domain", "tag")
FIELD = re.compile(r"\{([^{}]*)\}")


def mailbox_fields(recipient: Recipient, hostname: str) -> dict[str, str]:
    """Return the value of each of MAILBOX_FIELDS.

    `{local}` and its other name `{user}` are the local part in lower case without subaddress,
    `{domain}` the domain in lower case and A-labels, `{tag}` the subaddress in lower case without
    its separator, "" without one. `hostname`, in lower case, is the domain of `<postmaster>`.
    """
    local = local_key(recipient.address.local)
    user = recipient.user or local
    domain = domain_key(recipient.address.domain) or hostname
    return {"local": user, "user": user, "domain": domain, "tag": local[len(user) + 1 :]}


def check_fields(text: str, allowed: Sequence[str]) -> list[str]:
    """Return the fields in a text; raise ValueError for any other field, and for a stray brace."""
    names = ", ".join(f"{{{name}}}" for name in allowed)
    expected = f"expected one of {names}" if allowed else "expected no fields"
    found: list[str] = FIELD.findall(text)
    for name in found:
        if name not in allowed:
            raise ValueError(f"{expected}, found {{{name}}}")
    if any(brace in literal for literal in FIELD.split(text)[::2] for brace in "{}"):
        raise ValueError(f"stray brace in {text!r}: {expected}")
    return found

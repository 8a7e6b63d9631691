"""The Authentication-Results field of this server, and the removal of forged ones: RFC 8601.

The server adds one field for all results that plugins have added under the name of a method: a
row of METHODS. `authserv-id` is the server's hostname. `gatepost.mailauth.results` makes the field.

Security: readers trust every field with our `authserv-id`, so a client must not bring one (section
5). From SMTP clients such fields are removed, whether there are results or not. LMTP clients are
mail systems of ours: their fields are replaced only by a field of this server. A spelling that a
reader could take for our id counts as ours, also if the grammar forbids it.

Limits: of a field, MAX_ID characters are read to compare its `authserv-id`; a longer comment in
front of it counts as ours, and so does one that is nested too deep.
"""

import re
from collections.abc import Iterator, Mapping

from gatepost.mailauth.cfws import skip_cfws
from gatepost.mailauth.results.values import MethodResult
from gatepost.mailauth.results.write import NAME, write
from gatepost.model.address import domain_key
from gatepost.model.author import Named
from gatepost.model.message import Message
from gatepost.model.results import Result, Results

MAX_ID = 1000

_SERVER = Named("gatepost")

# The properties of each method (RFC 8601 s2.7) by the name of the fact.
METHODS: Mapping[str, Mapping[str, str]] = {
    "spf": {"mailfrom": "smtp.mailfrom", "helo": "smtp.helo"},
    "dkim": {"domain": "header.d", "selector": "header.s", "signature": "header.b"},
    "dmarc": {"domain": "header.from"},
    "arc": {"oldest": "header.oldest-pass", "ip": "smtp.remote-ip"},
    "iprev": {"ip": "policy.iprev"},
    "auth": {"user": "smtp.auth"},
}

# An id that is quoted, also without its end, an address literal, or an id that ends at a character
# that a token must not have (RFC 2045 s5.1).
_ID = re.compile(r'"((?:[^"\\]|\\.)*+)|(\[[^\s\]]*+\]?|[^\s()<>@,;:\\"/\[\]?=]++)')
_CONTROL = re.compile(r"[\0-\x1f\x7f]")
_PAIR = re.compile(r"\\(.)")
# A keyword of RFC 8601 has letters, digits and hyphens, but no hyphen at its end.
_NO_KEYWORD = re.compile(r"[^a-z0-9-]")


def results_field(results: Results, hostname: str) -> bytes:
    """Return the field, folded, with its final CRLF; empty without a result for it."""
    found = [_method(one) for one in results if one.name in METHODS]
    return write(hostname, found) if found else b""


def _method(result: Result) -> MethodResult:
    word = _NO_KEYWORD.sub("-", result.value).strip("-")
    reason = str(result.facts.get("reason", ""))
    return MethodResult(result.name, word, reason, tuple(_properties(result)))


def _properties(result: Result) -> Iterator[tuple[str, str]]:
    for fact, name in METHODS[result.name].items():
        value = str(result.facts.get(fact, ""))
        if value:
            yield name, value


def remove_ours(message: Message, hostname: str) -> int:
    """Remove the fields with this server's `authserv-id`; return how many.

    Raises ValueError if the header block is too long to be edited.
    """
    message.author = _SERVER
    return message.remove_header(NAME, lambda value: is_ours(value, hostname))


def is_ours(value: str, hostname: str) -> bool:
    """Return whether the unfolded value of a field has this server's `authserv-id`."""
    text = _CONTROL.sub(" ", value[:MAX_ID])
    start = skip_cfws(text)
    if start is None:
        return True
    found = _ID.match(text, start)
    if found is None:
        return False
    name = found[2] if found[1] is None else _PAIR.sub(r"\1", found[1])
    return domain_key(name.strip().rstrip(".")) == domain_key(hostname)

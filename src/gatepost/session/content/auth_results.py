"""The Authentication-Results field: RFC 8601.

The server adds one field for all results that plugins have added under the name of a method: a
row of METHODS. `authserv-id` is the server's hostname. The version is not written: it is 1.

Security: readers trust every field with our `authserv-id`, so a client must not bring one (section
5). From SMTP clients such fields are removed, whether there are results or not. LMTP clients are
mail systems of ours: their fields are replaced only by a field of this server. Values come from
clients: characters that could end a value are quoted, others become `?`.

Limits: MAX_VALUE characters of a value. Of a field, MAX_ID characters are read to compare its
`authserv-id`; a longer comment in front of it counts as ours.
"""

import re
from collections.abc import Iterator, Mapping

from gatepost.model.address import domain_key
from gatepost.model.author import Named
from gatepost.model.field import FOLDED
from gatepost.model.message import Message
from gatepost.model.results import Result, Results

NAME = "Authentication-Results"
MAX_VALUE = 200
MAX_ID = 1000

# The properties of each method (RFC 8601 s2.7) by the name of the fact.
_SERVER = Named("gatepost")

METHODS: Mapping[str, Mapping[str, str]] = {
    "spf": {"mailfrom": "smtp.mailfrom", "helo": "smtp.helo"},
    "dkim": {"domain": "header.d", "selector": "header.s", "signature": "header.b"},
    "dmarc": {"domain": "header.from"},
    "arc": {"oldest": "header.oldest-pass", "ip": "smtp.remote-ip"},
    "iprev": {"ip": "policy.iprev"},
    "auth": {"user": "smtp.auth"},
    "dnswl": {"zone": "dns.zone", "ip": "policy.ip", "txt": "policy.txt"},  # RFC 8904
}

_ATOM = r"[!#$%&'*+.^_`{|}~0-9A-Za-z-]+"  # RFC 2045 s5.1
_PLAIN = re.compile(rf"(?:{_ATOM})?@?{_ATOM}")
_SPECIAL = re.compile(r'(["\\])')
_UNPRINTABLE = re.compile(r"[^ -~]")
_ID = re.compile(r'"((?:[^"\\]|\\.)*)"|([^\s;("]+)')
_PAIR = re.compile(r"\\(.)")
# A keyword of RFC 8601 has letters, digits and hyphens.
_NO_KEYWORD = re.compile(r"[^a-z0-9-]")


def results_field(results: Results, hostname: str) -> bytes:
    """Return the field, folded, with its final CRLF; empty without a result for it."""
    found = [one for one in results if one.name in METHODS]
    if not found:
        return b""
    lines = [f"{NAME}: {hostname}"]
    for one in found:
        lines[-1] += ";"
        lines.append("\t")
        for word in _words(one):
            if len(lines[-1]) + len(word) > FOLDED and lines[-1] != "\t":
                lines.append("\t")
            lines[-1] += word if lines[-1] == "\t" else f" {word}"
    return "".join(f"{line}\r\n" for line in lines).encode("ascii")


def _words(result: Result) -> Iterator[str]:
    yield f"{result.name}={_NO_KEYWORD.sub('-', result.value)}"
    facts = result.facts
    if facts.get("reason"):
        yield f"reason={_quoted(str(facts['reason']))}"
    for fact, name in METHODS[result.name].items():
        value = str(facts.get(fact, ""))
        if value:
            yield f"{name}={_value(value)}"


def _value(text: str) -> str:
    text = text[:MAX_VALUE]
    return text if _PLAIN.fullmatch(text) else _quoted(text)


def _quoted(text: str) -> str:
    printable = _UNPRINTABLE.sub("?", text[:MAX_VALUE])
    return '"' + _SPECIAL.sub(r"\\\1", printable) + '"'


def remove_ours(message: Message, hostname: str) -> int:
    """Remove the fields with this server's `authserv-id`; return how many.

    Raises ValueError if the header block is too long to be edited.
    """
    message.author = _SERVER
    return message.remove_header(NAME, lambda value: is_ours(value, hostname))


def is_ours(value: str, hostname: str) -> bool:
    """Return whether the unfolded value of a field has this server's `authserv-id`."""
    start = _after_comments(value[:MAX_ID])
    if start is None:
        return True
    found = _ID.match(value[:MAX_ID], start)
    if found is None:
        return False
    name = found[2] if found[1] is None else _PAIR.sub(r"\1", found[1])
    return domain_key(name.strip()) == domain_key(hostname)


def _after_comments(text: str) -> int | None:
    """Return the start of the text after white space and comments, None if it does not start."""
    depth, escaped = 0, False
    for at, char in enumerate(text):
        if escaped:
            escaped = False
        elif depth and char == "\\":
            escaped = True
        elif char == "(":
            depth += 1
        elif depth and char == ")":
            depth -= 1
        elif not depth and not char.isspace():
            return at
    return None if depth else len(text)

"""The author domain of a message: RFC 9989 section 5.3.1.

It is the domain of the addresses in From. DMARC needs exactly one: a message with several From
fields, with addresses of several domains or without a domain has none. So has a message whose From
field cannot be read, because the recipient's program could read another address than this one.

The grammar is that of RFC 5322 section 3.4 with groups, comments, quoted strings, routes and the
obsolete white space in addresses. It is lenient in display names only. Encoded words (RFC 2047)
occur only in display names and comments, and are not decoded. A domain in UTF-8 becomes A-labels.

Security: the field comes from a client. Nothing is raised, and the time is linear.

Limits: MAX_FIELD octets of a field.
"""

import re
from collections.abc import Iterator
from itertools import islice, pairwise
from typing import NamedTuple

from gatepost.mailauth.cfws import skip_comment
from gatepost.model.address import AddressError, parse_domain
from gatepost.model.headers import places

MAX_FIELD = 16_384

_SHOWN = 3  # domains in a problem

_TOKEN = re.compile(
    r"""
    (?P<space>[ \t\r\n]++)
    | (?P<quoted>"(?:[^"\\]|\\[^\0\r\n])*+")
    | (?P<literal>\[[^\[\]\\]*+\])
    | (?P<special>[<>,;:@.])
    | (?P<atom>[^\0-\x20\x7f"\[\](),:;<>@.\\]++)
    """,
    re.VERBOSE,
)


_BRACKETS = frozenset("<>")
_SEPARATORS = frozenset(",;:")


class Author(NamedTuple):
    """The author domain as A-labels in lower case; "" if there is none, for the `problem`."""

    domain: str = ""
    problem: str = ""


class _Token(NamedTuple):
    kind: str
    text: str


_AT = _Token("special", "@")
_DOT = _Token("special", ".")


class _WrongFieldError(ValueError):
    """The field cannot be read, for this reason."""


def read_author(header_block: bytes) -> Author:
    """Return the author domain of a message; its lines end in CRLF."""
    found = list(islice(places(header_block, "From"), 2))
    if len(found) != 1:
        return Author(problem="more than one From field" if found else "no From field")
    place = found[0]
    if place.end - place.value > MAX_FIELD:
        return Author(problem=f"From has more than {MAX_FIELD} octets")
    value = header_block[place.value : place.end].decode("utf-8", "replace")
    try:
        return _one(list(_domains(value)))
    except _WrongFieldError as error:
        return Author(problem=f"From {error}")


def _one(domains: list[str]) -> Author:
    """Return the one domain of all addresses."""
    names = list(dict.fromkeys(map(_key, domains)))
    if len(names) == 1:
        return Author(names[0])
    if not names:
        raise _WrongFieldError("has no address")
    more = " …" if len(names) > _SHOWN else ""
    shown = ", ".join(names[:_SHOWN])
    raise _WrongFieldError(f"has addresses of several domains: {shown}{more}")


def _key(domain: str) -> str:
    try:
        return parse_domain(domain)
    except AddressError as error:
        raise _WrongFieldError(f"has a wrong address: {error}") from None


def _domains(value: str) -> Iterator[str]:
    """Yield the domain of each address."""
    mailbox, in_brackets = list[_Token](), False
    for token in _tokens(value):
        mark = token.text if token.kind == "special" else ""
        if mark in _BRACKETS:
            in_brackets = mark == "<"
        if in_brackets or mark not in _SEPARATORS:
            mailbox.append(token)
            continue
        if mark != ":":  # what precedes a colon is the name of a group
            yield from _domain(mailbox)
        mailbox = []
    yield from _domain(mailbox)


def _domain(mailbox: list[_Token]) -> Iterator[str]:
    """Yield the domain of a mailbox; an empty one has none."""
    if not mailbox:
        return
    marks = [token.text if token.kind == "special" else "" for token in mailbox]
    address = mailbox
    if "<" in marks or ">" in marks:
        start = max(at for at, mark in enumerate(marks) if mark in {"<", ":"} or not at)
        if (marks.count("<"), marks.count(">"), marks[-1]) != (1, 1, ">"):
            raise _WrongFieldError("has angle brackets that do not match")
        address = mailbox[start + 1 : -1]  # without a route, which ends in a colon
    yield _after_at(address)


def _after_at(address: list[_Token]) -> str:
    at = [place for place, token in enumerate(address) if token == _AT]
    if len(at) != 1:
        text = "".join(token.text for token in address[:10])
        raise _WrongFieldError(f"has an address without one @: {ascii(text)[:80]}")
    local, domain = address[: at[0]], address[at[0] + 1 :]
    if not _is_dotted(local, {"atom", "quoted"}):
        raise _WrongFieldError("has a wrong local part")
    if not _is_dotted(domain, {"atom"}):
        raise _WrongFieldError("has an address without a domain name")
    return "".join(token.text for token in domain)


def _is_dotted(tokens: list[_Token], words: set[str]) -> bool:
    """Return whether the tokens are words with dots between them; more dots are permitted."""
    is_word = [token.kind in words for token in tokens]
    others = all(word or token == _DOT for word, token in zip(is_word, tokens, strict=True))
    return others and any(is_word) and not any(one and two for one, two in pairwise(is_word))


def _tokens(value: str) -> Iterator[_Token]:
    """Yield the tokens, without white space and comments."""
    at = 0
    while at < len(value):
        if value[at] == "(":
            end = skip_comment(value, at)
            if end is None:
                raise _WrongFieldError("has a comment that does not end")
            at = end
            continue
        found = _TOKEN.match(value, at)
        if found is None:
            raise _WrongFieldError(f"cannot be read from {value[at : at + 20]!a}")
        at = found.end()
        if found.lastgroup != "space":
            yield _Token(found.lastgroup or "", found[0])

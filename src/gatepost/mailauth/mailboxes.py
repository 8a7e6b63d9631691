"""The mailboxes in an address field: RFC 5322 section 3.4.

The grammar has groups, comments, quoted strings, routes and the obsolete white space in addresses.
It is lenient in display names only. Encoded words (RFC 2047) occur only in display names and
comments, and are not decoded.

Security: the field comes from a client. What cannot be read is a `MailboxError`, because the
recipient's program could read another address than this one. The time is linear.
"""

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from gatepost.mailauth.cfws import skip_comment

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
_ESCAPED = re.compile(r"(?s)\\(.)")


class Mailbox(NamedTuple):
    """A mailbox: its display name without quotes, "" for none, and both parts of its address."""

    name: str
    local: str
    domain: str


class MailboxError(ValueError):
    """The field cannot be read, for this reason."""


class _Token(NamedTuple):
    """A token, and whether white space or a comment is in front of it."""

    kind: str
    text: str
    spaced: bool


def read_mailboxes(value: str) -> Iterator[Mailbox]:
    """Yield the mailboxes in the value of a field, in order; raises `MailboxError`."""
    mailbox, in_brackets = list[_Token](), False
    for token in _tokens(value):
        mark = token.text if token.kind == "special" else ""
        if mark in _BRACKETS:
            in_brackets = mark == "<"
        if in_brackets or mark not in _SEPARATORS:
            mailbox.append(token)
            continue
        if mark != ":":  # what precedes a colon is the name of a group
            yield from _mailbox(mailbox)
        mailbox = []
    yield from _mailbox(mailbox)


def _mailbox(tokens: list[_Token]) -> Iterator[Mailbox]:
    """Yield the mailbox of some tokens; there is none without tokens."""
    if not tokens:
        return
    marks = [token.text if token.kind == "special" else "" for token in tokens]
    address, name = tokens, ""
    if "<" in marks or ">" in marks:
        start = max(at for at, mark in enumerate(marks) if mark in {"<", ":"} or not at)
        if (marks.count("<"), marks.count(">"), marks[-1]) != (1, 1, ">"):
            raise MailboxError("has angle brackets that do not match")
        address = tokens[start + 1 : -1]  # without a route, which ends in a colon
        name = _text(tokens[: marks.index("<")])
    yield _addressed(name, address)


def _addressed(name: str, address: list[_Token]) -> Mailbox:
    at = [place for place, token in enumerate(address) if _is_special(token, "@")]
    if len(at) != 1:
        text = "".join(token.text for token in address[:10])
        raise MailboxError(f"has an address without one @: {ascii(text)[:80]}")
    local, domain = address[: at[0]], address[at[0] + 1 :]
    if not _is_dotted(local, {"atom", "quoted"}):
        raise MailboxError("has a wrong local part")
    if not _is_dotted(domain, {"atom"}):
        raise MailboxError("has an address without a domain name")
    return Mailbox(name, *("".join(token.text for token in part) for part in (local, domain)))


def _text(tokens: list[_Token]) -> str:
    """Return the text of a display name."""
    return "".join(" " * token.spaced + _unquoted(token) for token in tokens).strip()


def _unquoted(token: _Token) -> str:
    return _ESCAPED.sub(r"\1", token.text[1:-1]) if token.kind == "quoted" else token.text


def _is_special(token: _Token, mark: str) -> bool:
    return token.kind == "special" and token.text == mark


def _is_dotted(tokens: list[_Token], words: set[str]) -> bool:
    """Return whether the tokens are words with dots between them; more dots are permitted."""
    is_word = [token.kind in words for token in tokens]
    others = all(
        word or _is_special(token, ".") for word, token in zip(is_word, tokens, strict=True)
    )
    return others and any(is_word) and not any(one and two for one, two in pairwise(is_word))


def _tokens(value: str) -> Iterator[_Token]:
    """Yield the tokens, without white space and comments."""
    at, spaced = 0, False
    while at < len(value):
        if value[at] == "(":
            end = skip_comment(value, at)
            if end is None:
                raise MailboxError("has a comment that does not end")
            at, spaced = end, True
            continue
        found = _TOKEN.match(value, at)
        if found is None:
            raise MailboxError(f"cannot be read from {value[at : at + 20]!a}")
        at = found.end()
        if found.lastgroup == "space":
            spaced = True
        else:
            yield _Token(found.lastgroup or "", found[0], spaced)
            spaced = False

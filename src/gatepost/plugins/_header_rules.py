"""The rules of the plugin `headers`: what can be wrong with the header fields of a message.

Each rule is a function in the table RULES. It returns what it has found, None for nothing, and is
called only if its option has a reaction.

Trusts: nothing in the fields. Names and values are compared as people see them: encoded words are
decoded, and characters without width are left out. The time is linear. Limits: those of
`gatepost.mailauth.dmarc.author`; the first MOST_NAMES domains in a display name.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from itertools import islice
from typing import Any, NamedTuple

from gatepost import Address, Headers, Results
from gatepost.mailauth.dmarc.author import MAX_FIELD, MOST_ADDRESSES
from gatepost.mailauth.mailboxes import Mailbox, MailboxError, read_mailboxes
from gatepost.plugins._dates import parse_date
from gatepost.plugins._encoded_words import shown_text
from gatepost.plugins._suffixes import canonical

MOST_NAMES = 20
_SHOWN = 80
# The labels of a domain that are compared with those of this server.
_LABELS = 10

_FIELD = re.compile(rb"\r\n([!-9;-~]+)[ \t]*:")
_MESSAGE_ID = re.compile(r"<[^<>@\s\x00-\x1f]+@(?:[^<>@\s\x00-\x1f\[\]]+|\[[^<>\[\]\s]*\])>")
_DOMAIN = re.compile(r"(@?)((?:[\w-]{1,63}\.)+[^\W\d_][\w-]{0,62})")


class Surroundings(NamedTuple):
    """The facts that the rules compare a message with.

    `now` is in seconds since 1970. `is_local` and `is_same` are about one domain and two: whether
    it is one of this server, whether both belong to one organisation.
    """

    sender: Address
    now: float
    results: Results
    is_local: Callable[[str], bool]
    is_same: Callable[[str, str], bool]


class Examined:
    """The header block of a message, read as far as the rules need it."""

    def __init__(self, block: bytes, around: Surroundings) -> None:
        self.block = block
        self.around = around
        self._headers = Headers(block)

    @cached_property
    def numbers(self) -> Mapping[bytes, int]:
        """The number of fields by name in lower case."""
        return Counter(_FIELD.findall(b"\r\n" + self.block.lower()))

    def number(self, name: str) -> int:
        """Return the number of fields of a name."""
        return self.numbers.get(name.lower().encode(errors="replace"), 0)

    def value(self, name: str) -> str:
        """Return the value of the first field of a name, "" without one."""
        return self._headers.get(name) or ""

    def mailboxes(self, name: str) -> tuple[Sequence[Mailbox], str]:
        """Return the mailboxes in the first field of a name, and why it cannot be read, or ""."""
        value = self.value(name)
        if len(value) > MAX_FIELD:
            return (), f"more than {MAX_FIELD} characters"
        try:
            found = list(islice(read_mailboxes(value), MOST_ADDRESSES + 1))
        except MailboxError as error:
            return (), str(error)
        many = len(found) > MOST_ADDRESSES
        return ((), f"more than {MOST_ADDRESSES} addresses") if many else (found, "")

    @cached_property
    def from_field(self) -> tuple[Sequence[Mailbox], str]:
        """The same of From."""
        return self.mailboxes("From")

    @property
    def authors(self) -> Sequence[Mailbox]:
        """The mailboxes in From, none if it cannot be read."""
        return self.from_field[0]

    @cached_property
    def date(self) -> datetime | None:
        """The time in Date, None without one that can be read."""
        return parse_date(self.value("Date"))


def _missing(found: Examined, options: Any) -> str | None:
    return next((name for name in options.required if not found.number(name)), None)


def _unwanted(found: Examined, options: Any) -> str | None:
    return next((name for name in options.forbidden if found.number(name)), None)


def _repeated(found: Examined, options: Any) -> str | None:
    return next((name for name in options.unique if found.number(name) > 1), None)


def _long_line(found: Examined, options: Any) -> str | None:
    longest = max(map(len, found.block.split(b"\r\n")))
    return f"{longest} octets" if longest > options.longest_line else None


def _date_malformed(found: Examined, _options: Any) -> str | None:
    return found.value("Date") if found.number("Date") and found.date is None else None


def _date_old(found: Examined, options: Any) -> str | None:
    age = _age(found)
    return found.value("Date") if age is not None and age > options.oldest else None


def _date_future(found: Examined, options: Any) -> str | None:
    age = _age(found)
    return found.value("Date") if age is not None and -age > options.ahead else None


def _age(found: Examined) -> float | None:
    """Return the age of a message by its Date, in seconds, None if it is not known."""
    return None if found.date is None else found.around.now - found.date.timestamp()


def _message_id_missing(found: Examined, _options: Any) -> str | None:
    return None if found.number("Message-ID") else ""


def _message_id_malformed(found: Examined, _options: Any) -> str | None:
    value = found.value("Message-ID")
    return None if not found.number("Message-ID") or _MESSAGE_ID.fullmatch(value) else value


def _from_malformed(found: Examined, _options: Any) -> str | None:
    if not found.number("From"):
        return None
    authors, problem = found.from_field
    return problem or (None if authors else "no address")


def _from_several(found: Examined, _options: Any) -> str | None:
    return "" if len(found.authors) > 1 and not found.number("Sender") else None


def _from_own(found: Examined, _options: Any) -> str | None:
    around = found.around
    own = (one.domain for one in found.authors if around.is_local(canonical(one.domain)))
    return next((domain for domain in own if not _is_authenticated(domain, around)), None)


def _is_authenticated(domain: str, around: Surroundings) -> bool:
    """Return whether SPF, DKIM, DMARC or a trusted forwarder has proven the author domain."""
    dmarc = around.results.get("dmarc")
    if dmarc is not None and (dmarc.value == "pass" or "override" in dmarc.facts):
        return True
    proven = (
        str(one.facts.get("domain", ""))
        for method in ("spf", "dkim")
        for one in around.results.all(method)
        if one.value == "pass"
    )
    return any(around.is_same(one, domain) for one in proven if one)


def _name_own(found: Examined, _options: Any) -> str | None:
    around = found.around
    for author in found.authors:
        if not _is_ours(author.domain, around):
            ours = (name for _, name in _names(author) if _is_ours(name, around))
            return next(ours, None)
    return None


def _name_address(found: Examined, _options: Any) -> str | None:
    around = found.around
    for author in found.authors:
        for at, name in _names(author):
            differs = not around.is_same(name, author.domain)
            if at and differs and not _is_ours(name, around):
                return name
    return None


def _names(author: Mailbox) -> Iterator[tuple[str, str]]:
    """Yield the domains in a display name, each with the @ in front of it, "" without one."""
    for found in islice(_DOMAIN.finditer(shown_text(author.name)), MOST_NAMES):
        yield found[1], found[2]


def _is_ours(domain: str, around: Surroundings) -> bool:
    """Return whether a domain, or one that it is within, is one of this server."""
    labels = canonical(domain).split(".")[-_LABELS:]
    return any(around.is_local(".".join(labels[at:])) for at in range(len(labels) - 1))


def _envelope_differs(found: Examined, _options: Any) -> str | None:
    sender = found.around.sender
    return _other(found, [sender.domain] if sender else [])


def _sender_differs(found: Examined, _options: Any) -> str | None:
    return _other(found, (one.domain for one in found.mailboxes("Sender")[0]))


def _reply_to_differs(found: Examined, _options: Any) -> str | None:
    return _other(found, (one.domain for one in found.mailboxes("Reply-To")[0]))


def _other(found: Examined, domains: Iterable[str]) -> str | None:
    """Return the first of some domains that is not of the organisation of an author."""
    own = [one.domain for one in found.authors]
    if not own:
        return None
    is_same = found.around.is_same
    return next((one for one in domains if not any(is_same(one, other) for other in own)), None)


class Rule(NamedTuple):
    """A rule: its function, the text of the reply, and whether it compares organisations."""

    find: Callable[[Examined, Any], str | None]
    text: str
    compares: bool = False

    def reply(self, detail: str) -> str:
        """Return the text of the reply, with what was found."""
        return f"{self.text}: {detail[:_SHOWN]}" if detail else self.text


RULES: Mapping[str, Rule] = {
    "unwanted": Rule(_unwanted, "Header field is not accepted here"),
    "repeated": Rule(_repeated, "Header field occurs more than once"),
    "from_malformed": Rule(_from_malformed, "From field is malformed"),
    "from_own": Rule(_from_own, "From has a domain of this server, and is not authenticated", True),
    "name_own": Rule(_name_own, "The name in From has a domain of this server"),
    "name_address": Rule(_name_address, "The name in From has another address", True),
    "from_several": Rule(_from_several, "From has several addresses, and there is no Sender"),
    "missing": Rule(_missing, "Header field is missing"),
    "date_malformed": Rule(_date_malformed, "Date is malformed"),
    "date_old": Rule(_date_old, "Date is too old"),
    "date_future": Rule(_date_future, "Date is in the future"),
    "message_id_missing": Rule(_message_id_missing, "Message-ID is missing"),
    "message_id_malformed": Rule(_message_id_malformed, "Message-ID is malformed"),
    "long_line": Rule(_long_line, "A line of the header is too long"),
    "envelope_differs": Rule(_envelope_differs, "From and the sender differ", True),
    "sender_differs": Rule(_sender_differs, "From and Sender differ", True),
    "reply_to_differs": Rule(_reply_to_differs, "From and Reply-To differ", True),
}

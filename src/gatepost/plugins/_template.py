"""Templates of header fields: "{client}" in a text becomes a fact about the message.

Security: most facts come from the client. Control characters and line ends in them become "?", so
that they cannot end a field. So does the start of an encoded word, so that readers see the text as
it is. Nothing but the names in the table VALUES can be in braces. Limits: LONGEST characters of
each value.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from email.utils import format_datetime
from string import Formatter

from gatepost import Message, MessageTransaction, ServerFacts
from gatepost.plugins._scanner import confirmed_name

LONGEST = 200
MOST_STARS = 50
_MOST_RESULTS = 20
_RESULT = "result."

_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_ENCODED_WORD = re.compile(r"=+(?=\?)")
_RESULT_NAME = re.compile(r"result\.[a-z][a-z0-9_.-]{0,63}")

Value = Callable[[MessageTransaction, ServerFacts], str]


def _recipient(tx: MessageTransaction, _server: ServerFacts) -> str:
    """Return the recipient, "" if there are several: the others must not see it."""
    return str(tx.recipients[0].address) if len(tx.recipients) == 1 else ""


def _results(tx: MessageTransaction, _server: ServerFacts) -> str:
    given = sorted((one for one in tx.results if one.score), key=lambda one: -one.score)
    return " ".join(f"{one.name}={one.score:g}" for one in given[:_MOST_RESULTS])


VALUES: Mapping[str, Value] = {
    "client": lambda tx, _: tx.session.peer.host,
    "client_name": lambda tx, _: confirmed_name(tx),
    "helo": lambda tx, _: tx.session.helo,
    "user": lambda tx, _: "" if tx.session.auth is None else tx.session.auth.user,
    "tls": lambda tx, _: "" if tx.session.tls is None else tx.session.tls.version,
    "listener": lambda tx, _: tx.session.listener,
    "sender": lambda tx, _: str(tx.reverse_path),
    "recipient": _recipient,
    "recipients": lambda tx, _: str(len(tx.recipients)),
    "size": lambda tx, _: str(tx.message.size),
    "reference": lambda tx, _: tx.id,
    "date": lambda tx, _: format_datetime(tx.received_at),
    "hostname": lambda _, server: server.hostname,
    "score": lambda tx, _: f"{tx.results.score:.1f}",
    "stars": lambda tx, _: "*" * max(0, min(int(tx.results.score), MOST_STARS)),
    "results": _results,
}


class Template:
    """A text with names in braces. Raises ValueError for a name that does not exist.

    "{result.spf}" is the value of a result. Two braces stand for one.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._parts = [(literal, name) for literal, name, _, _ in _parsed(text)]

    def fill(self, tx: MessageTransaction, server: ServerFacts) -> str:
        """Return the text with the facts of a message."""
        return without_encoded_words(
            literal + ("" if name is None else safe(_value(name, tx, server)))
            for literal, name in self._parts
        ).strip()


def _parsed(text: str) -> list[tuple[str, str | None, str | None, str | None]]:
    parsed = list(Formatter().parse(text))
    for _, name, form, conversion in parsed:
        known = name is None or name in VALUES or _RESULT_NAME.fullmatch(name)
        if not known or form or conversion:
            names = ", ".join(f"{{{one}}}" for one in VALUES)
            raise ValueError(f"expected {names} or {{result.NAME}}, found {{{name}}}")
    return parsed


def _value(name: str, tx: MessageTransaction, server: ServerFacts) -> str:
    if name.startswith(_RESULT):
        return tx.results.value(name.removeprefix(_RESULT)) or ""
    return VALUES[name](tx, server)


def safe(value: str) -> str:
    """Return a value in one line, shortened."""
    return _UNSAFE.sub("?", value[:LONGEST])


def without_encoded_words(parts: Iterable[str]) -> str:
    """Return a text of some parts in which no encoded word starts, not even by two parts."""
    return _ENCODED_WORD.sub("?", "".join(parts))


def check_field(name: str, text: str) -> None:
    """Raise ValueError unless a field of this name can have this text."""
    Message(0).add_header(name, text)

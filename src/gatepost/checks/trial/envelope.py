"""The client and the envelope of a trial, from texts of a person.

`gatepost try` and the dashboard give the same texts for wrong values.

Security: these texts become commands of a client in memory, so none may have a line break.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from ipaddress import ip_address

import msgspec

from gatepost.model.address import NULL_PATH, Address

IP, HELO = "192.0.2.1", "client.example"
PROTOCOLS = ("smtp", "lmtp")
_LONGEST = 1000


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """The texts of a person.

    `name` is the client's name as XCLIENT reports it. `sender` is the null reverse-path by default.
    """

    ip: str = IP
    name: str = ""
    helo: str = HELO
    sender: str = ""
    recipients: Sequence[str] = ()
    user: str = ""
    tls: bool = False
    protocol: str = ""
    listen: str = ""


class Envelope(msgspec.Struct, frozen=True):
    """The client's IP address and name in HELO, the sender and the recipients.

    `user` is the name with which the client has logged in, "" without a login. With `tls` the
    connection is encrypted. `protocol` and `listen` are as for `MemoryServer.connect`. `name` is
    the client's name as XCLIENT reports it, "" without one.
    """

    ip: str
    helo: str
    sender: Address
    recipients: list[Address]
    user: str = ""
    tls: bool = False
    protocol: str = ""
    listen: str = ""
    name: str = ""


class EnvelopeError(ValueError):
    """Wrong values: `problems` has what was expected, by the field of `Given`."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{name}: {text}" for name, text in problems.items()))
        self.problems = problems


def read_envelope(given: Given, listeners: Collection[str]) -> Envelope:
    """Return the envelope; `listeners` are the names of all. Raises `EnvelopeError`."""
    problems = dict(_problems(given, listeners))
    if problems:
        raise EnvelopeError(problems)
    return Envelope(
        _ip(given.ip),
        _helo(given.helo),
        _sender(given.sender),
        [*map(_address, given.recipients)],
        given.user,
        given.tls,
        given.protocol,
        given.listen,
        given.name,
    )


def _problems(given: Given, listeners: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield each wrong field, with what was expected."""
    reads: Sequence[tuple[str, Callable[[], object]]] = (
        ("ip", lambda: _ip(given.ip)),
        ("name", lambda: given.name and _helo(given.name)),
        ("helo", lambda: _helo(given.helo)),
        ("sender", lambda: _sender(given.sender)),
        ("recipients", lambda: _recipients(given.recipients)),
        ("user", lambda: _user(given.user)),
        ("protocol", lambda: _protocol(given.protocol)),
        ("listen", lambda: check_listener(given.listen, listeners)),
    )
    for field, read in reads:
        try:
            read()
        except ValueError as error:
            yield field, str(error)


def _ip(text: str) -> str:
    try:
        found = ip_address(text)
    except ValueError:
        found = None
    if found is None or "%" in text:  # a zone can be any text, and is of this host only
        raise ValueError(f"expected an IP address, found {text[:_LONGEST]!r}")
    return str(found)


def _helo(text: str) -> str:
    usable = text.isprintable() and text.isascii() and " " not in text
    if not usable or not 0 < len(text) <= _LONGEST:
        raise ValueError(f"expected a name such as client.example, found {text[:_LONGEST]!r}")
    return text


def _sender(text: str) -> Address:
    return NULL_PATH if text in {"", "<>"} else _address(text)


def _recipients(texts: Sequence[str]) -> list[Address]:
    if not texts:
        raise ValueError("expected at least one recipient")
    return [*map(_address, texts)]


def _address(text: str) -> Address:
    return Address(text, "") if text.lower() == "postmaster" else Address.parse(text)


def _user(text: str) -> str:
    if not text.isprintable() or len(text) > _LONGEST:
        expected = f"expected at most {_LONGEST} printable characters"
        raise ValueError(f"{expected}, found {text[:_LONGEST]!r}")
    return text


def _protocol(text: str) -> str:
    if text and text not in PROTOCOLS:
        raise ValueError(f"expected one of {', '.join(PROTOCOLS)}, found {text[:_LONGEST]!r}")
    return text


def check_listener(name: str, listeners: Collection[str]) -> None:
    """Raise ValueError unless there is a listener of this name; "" is the first one."""
    if name and name not in listeners:
        raise ValueError(f"no listener has the name {name[:_LONGEST]!r}")


def short_message(envelope: Envelope) -> bytes:
    """Return a message to use if none is given."""
    recipients = ", ".join(map(str, envelope.recipients))
    lines = (
        f"From: <{envelope.sender}>",
        f"To: {recipients}",
        "Subject: A trial",
        "",
        "Hello.",
        "",
    )
    return "\r\n".join(lines).encode()

"""Ask SpamAssassin's spamd about each message, mark spam, and refuse what is spam for certain.

The content goes to spamd as it was received. In front of it are a Return-Path and a Received field,
because SpamAssassin reads the facts of the envelope there: without them it would take the client of
an earlier server for that of this one, and would look up the wrong addresses.

Trusts: spamd is the one at `server`. Its response is checked (`gatepost.plugins._spamd`). Limits:
those of all scanners. Each scan has a connection of its own, as the protocol requires.
"""

import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from email.utils import format_datetime
from functools import partial
from itertools import chain
from string import Formatter
from typing import Any

from gatepost import Decision, MessageTransaction, Reaction, Recipient, Size, deny, hold
from gatepost.plugins._exchange import ServiceAddress, addresses, exchange
from gatepost.plugins._scanner import (
    Scanner,
    ScannerError,
    ScannerOptions,
    confirmed_name,
    content_of,
)
from gatepost.plugins._servers import Servers
from gatepost.plugins._spamd import Command, Verdict, check_learned, parse_response, request_head

# The response to HEADERS has the header block of the message.
_LONGEST_RESPONSE = 4 * 1024 * 1024
_LONGEST = 500
_USER_FIELDS = {"address", "user", "domain"}
_USER = re.compile(r"[!-~]{1,320}")
_UNSAFE = re.compile(r"[^A-Za-z0-9.:_\[\]-]")
_UNSAFE_IN_PATH = re.compile(r"[^!-;=?-~]")
_SPAM_FIELD = "x-spam-"
_PONG = re.compile(rb"SPAMD/\d+\.\d+ 0 PONG\b")


class Spamassassin(Scanner[Verdict]):
    """Adds the result `spamassassin`: "spam", "ham", "skipped" or "temperror"."""

    result = "spamassassin"

    class Options(ScannerOptions):
        """The address of spamd, and what its verdict causes."""

        server: str | tuple[str, ...] = "127.0.0.1:783"
        """The address of spamd: "HOST:PORT" or "unix:PATH". Of several in an array, the next one is
        asked if one does not accept connections."""
        largest: Size = Size("512KiB")
        """The size of the largest message that is scanned."""
        too_large: Reaction = Reaction("none")
        """The reaction to a larger message."""
        deny: float = 10.0
        """The number of points of SpamAssassin from which a message is refused; 0 for none."""
        hold: float = 0.0
        """The number of points of SpamAssassin from which a message is held in the queue; 0 for
        none."""
        mark: bool = True
        """Whether the X-Spam- fields and the subject of SpamAssassin are put into the message."""
        weight: float = 0.0
        """The number of points for `score` for each point of SpamAssassin."""
        user: str = ""
        """The user whose settings spamd applies, such as "{address}", "{user}" or "{domain}" of the
        recipient. A message to several recipients has the usual settings."""
        text: str = "Message looks like spam"
        """The reply to a message that is refused."""

        def __post_init__(self) -> None:
            super().__post_init__()
            addresses(self.server)
            _check_user(self.user)
            if min(self.deny, self.hold) < 0:
                raise ValueError("deny, hold: expected 0 or more points")

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._servers = Servers(addresses(self.options.server))

    async def scan(self, tx: MessageTransaction) -> Verdict:
        """Send the message to spamd, and read its response."""
        command: Command = "HEADERS" if self.options.mark else "SYMBOLS"
        response = await self._exchange(lambda: self._request(tx, command))
        return parse_response(command, response)

    async def _exchange(self, request: Callable[[], Iterable[bytes]]) -> bytes:
        """Return the response of the first server that accepts a connection."""
        return await self._servers.ask(
            lambda server: exchange(server, request(), half_close=True, most=_LONGEST_RESPONSE)
        )

    def _request(self, tx: MessageTransaction, command: Command) -> Iterator[bytes]:
        front = trace(tx, self.server.hostname)
        size = len(front) + tx.message.size
        yield request_head(command, size, _user(self.options.user, tx.recipients)) + front
        yield from content_of(tx)

    async def on_learn(self, tx: MessageTransaction, kind: str) -> None:
        """Let spamd learn a message; it must permit that (`spamd --allow-tell`)."""
        user = _user(self.options.user, tx.recipients)
        head = request_head("TELL", tx.message.size, user, Message_class=kind, Set="local")
        check_learned(await self._exchange(lambda: chain([head], content_of(tx))))

    def probes(self) -> Mapping[str, Callable[[], Awaitable[str]]]:
        """Ask each spamd whether it answers; it does not report its version."""
        return {one: partial(ping, one) for one in addresses(self.options.server)}

    def conclude(self, tx: MessageTransaction, found: Verdict) -> Decision | None:
        """Refuse or mark a message."""
        facts = {"points": found.points, "required": found.threshold}
        rules = " ".join(found.rules)[:_LONGEST]
        score = self.options.weight * found.points
        self.add(tx, "spam" if found.is_spam else "ham", **facts, rules=rules, score=score)
        if 0 < self.options.deny <= found.points:
            return deny(self.options.text, enhanced="5.7.1", reason="spam")
        if self.options.mark:
            self._mark(tx, found)
        return hold("spam") if 0 < self.options.hold <= found.points else None

    def _mark(self, tx: MessageTransaction, found: Verdict) -> None:
        try:
            mark(tx, found)
        except ValueError as error:
            log = self.log_for(tx)
            log.warning("field not edited", problem=str(error)[:_LONGEST])


async def ping(server: ServiceAddress) -> str:
    """Return the answer of spamd to PING; raises OSError or `ScannerError`."""
    answer = await exchange(server, [b"PING SPAMC/1.5\r\n\r\n"], half_close=True)
    if not _PONG.match(answer):
        raise ScannerError(f"expected PONG, found {answer[:80]!r}")
    return answer.decode("ascii", "replace")


def mark(tx: MessageTransaction, found: Verdict) -> None:
    """Put the fields of SpamAssassin into a message, and remove those of the client.

    Raises ValueError for a field that cannot be added, or a header block that is too long.
    """
    message, headers = tx.message, tx.message.headers()
    for name in {name.lower() for name, _ in headers if name.lower().startswith(_SPAM_FIELD)}:
        message.remove_header(name)
    if found.is_spam and found.subject not in (
        "",
        " ".join((headers.get("Subject") or "").split()),
    ):
        message.replace_header("Subject", found.subject)
    for name, value in reversed(found.fields):
        message.add_header(name, value)


def trace(tx: MessageTransaction, hostname: str) -> bytes:
    """Return the fields in front of the content, in a form that SpamAssassin reads."""
    session = tx.session
    auth = "" if session.auth is None else " (Authenticated sender)"
    letters = "S" * (session.tls is not None) + "A" * (session.auth is not None)
    protocol = f"ESMTP{letters}" if session.extended else "SMTP"
    client = f"{_safe(confirmed_name(tx))} [{_safe(session.peer.host)}]"
    return (
        f"Return-Path: <{_UNSAFE_IN_PATH.sub('?', str(tx.reverse_path))}>\r\n"
        f"Received: from {_safe(session.helo)} ({client}){auth}\r\n"
        f"\tby {_safe(hostname)} (Gatepost) with {protocol} id {tx.id};\r\n"
        f"\t{format_datetime(tx.received_at)}\r\n"
    ).encode("ascii")


def _safe(value: str) -> str:
    """Return a text that cannot end a field or a comment."""
    return _UNSAFE.sub("?", value or "unknown")


def _check_user(template: str) -> None:
    """Raise ValueError for a template with another field."""
    try:
        fields = {name for _, name, _, _ in Formatter().parse(template) if name is not None}
    except ValueError as error:
        raise ValueError(f"user: {error}") from error
    if not fields <= _USER_FIELDS:
        raise ValueError(
            f'user: expected "{{address}}", "{{user}}" or "{{domain}}", found {template!r}'
        )


def _user(template: str, rcpts: Sequence[Recipient]) -> str:
    """Return the user of a message, "" if it has several recipients or none can be named."""
    if len(rcpts) != 1:
        return ""
    [rcpt] = rcpts
    found = template.format(address=rcpt.address, user=rcpt.user, domain=rcpt.domain)
    return found if _USER.fullmatch(found) else ""

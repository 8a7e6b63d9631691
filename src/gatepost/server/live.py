"""The sessions of this process at this moment, for `gatepost sessions`.

Nothing is kept for it while commands are handled: a session is described from its own state when a
request asks for it. `sessions` describes some connections in each turn of the event loop, so that
others are served in between.

A connection of a mail server that asks for decisions is one row: its session is the one that the
mail server asked about last.

Limits: PIECE connections in a turn, MAX_TEXT characters of what a client has sent.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

import msgspec

from gatepost.ledger.limits import text
from gatepost.model.session import Session, Transaction
from gatepost.net.networks import Networks, is_within
from gatepost.plugin.driver import Wait
from gatepost.server.connections import Connections, Member
from gatepost.session import replies as r
from gatepost.wire import events as e
from gatepost.wire.milter.events import Client, Piece, Reported

# The connections that are described in one turn of the event loop: about a millisecond.
PIECE = 100
# What the server does with a command that waits, if no plugin is asked.
_STEPS: Mapping[type[Any], str] = {
    e.Connected: "connect",
    Client: "connect",
    e.Ehlo: "helo",
    e.Helo: "helo",
    e.Auth: "auth",
    e.AuthResponse: "auth",
    e.Mail: "mail",
    e.Rcpt: "rcpt",
    e.Data: "data",
    e.Bdat: "data",
    e.Content: "headers",
    Piece: "headers",
    e.EndOfMessage: "message",
}


class LiveSession(msgspec.Struct, frozen=True, omit_defaults=True):
    """A session.

    `ref` is its reference, `transaction` that of the open transaction. `name` is the confirmed or
    reported name of the client, `tls` the version. `step` is the command that is being handled, or
    the last one: "connect", "tls", "helo", "auth", "mail", "rcpt", "data", "content" (the client
    sends the message), "headers", "message", "deliver", "delay" (before a reply) or "closing".
    `busy` is whether the server handles a command, otherwise it is the client's turn. `plugin` is
    the plugin that the command waits for, since `waiting` seconds. `sender` is "" for a null
    reverse-path, None without a transaction. `age` and `idle` are seconds
    since the connection and the last reply. `recipients` are those accepted in the transaction,
    `messages` those of the session so far. Octets are without TLS.
    """

    ref: str
    client: str
    age: float
    idle: float
    step: str
    received: int
    sent: int
    protocol: str
    busy: bool = False
    name: str = ""
    listener: str = ""
    via: str = ""
    helo: str = ""
    tls: str = ""
    user: str = ""
    transaction: str = ""
    sender: str | None = None
    recipients: int = 0
    messages: int = 0
    plugin: str = ""
    waiting: float = 0.0

    @property
    def path(self) -> str:
        """The sender as tables show it: "<>" for a null reverse-path, "" without a transaction."""
        return "" if self.sender is None else self.sender or "<>"


class Filter(msgspec.Struct, frozen=True):
    """All conditions apply: the network of the client, the listener, the plugin, the age."""

    client: Networks = ()
    listener: str = ""
    plugin: str = ""
    older: float = 0.0

    def matches(self, one: LiveSession, host: str) -> bool:
        """Return whether a session of the client `host` is selected."""
        return (
            one.age >= self.older
            and self.listener in ("", one.listener)
            and self.plugin in ("", one.plugin)
            and (not self.client or is_within(host, self.client))
        )


async def sessions(connections: Connections, chosen: Filter) -> AsyncIterator[list[LiveSession]]:
    """Yield the selected sessions, piece by piece; a piece may be empty."""
    members = tuple(connections.members)
    for start in range(0, len(members), PIECE):
        described = [
            (describe(connections, one), one.peer.host)
            for one in members[start : start + PIECE]
            if one in connections.members
        ]
        yield [one for one, host in described if chosen.matches(one, host)]
        await asyncio.sleep(0)


def describe(connections: Connections, member: Member) -> LiveSession:
    """Return what a connection does."""
    setup, talk, pump = connections.setup, member.talk, member.pump
    session, tx = talk.session, talk.tx
    state, since, received, sent = member.activity
    wait = setup.plugins.waits.get(pump.task) if pump.waiting else None
    return LiveSession(
        ref=session.id,
        client=str(session.peer),
        age=max(0.0, setup.clock.time() - session.started) if session.started else 0.0,
        idle=max(0.0, connections.loop.time() - since),
        step=_step(member, state, wait),
        received=received,
        sent=sent,
        protocol=session.protocol,
        busy=pump.waiting,
        name=_name(session),
        listener=session.listener,
        via="" if session.via is None else str(session.via),
        helo=text(session.helo),
        tls="" if session.tls is None else session.tls.version,
        user="" if session.auth is None else text(session.auth.user),
        transaction="" if tx is None else tx.id,
        sender=None if tx is None else text(str(tx.reverse_path)),
        recipients=0 if tx is None else len(tx.recipients),
        messages=session.messages,
        plugin="" if wait is None else wait.plugin,
        waiting=0.0 if wait is None else time.monotonic() - wait.began,
    )


def _step(member: Member, state: str, wait: Wait | None) -> str:
    talk, pump = member.talk, member.pump
    if state in ("closing", "tls"):
        return state
    if wait is not None:
        return wait.method.partition("_")[2]
    if not pump.waiting:
        return state or _last_step(talk.session, talk.tx)
    if pump.event is None:
        return "delay"
    if talk.delivering:
        return "deliver"
    event = pump.event.event if type(pump.event) is Reported else pump.event
    return _STEPS.get(type(event), type(event).__name__.lower())


def _last_step(session: Session, tx: Transaction | None) -> str:
    if tx is None:
        return "helo" if session.helo else "connect"
    return "rcpt" if tx.recipients or tx.refused else "mail"


def _name(session: Session) -> str:
    """Return the name of the client that was confirmed, or that a mail server or proxy reports."""
    found = None if session.found is None else session.found.get("iprev")
    name = found.facts.get("name", "") if found is not None and found.value == "pass" else ""
    claimed = session.xclient or {}
    return text(str(name or session.reported.get("client_name") or claimed.get("NAME", "")))


def end(connections: Connections, ref: str) -> str:
    """End the session with this reference, or that of its transaction.

    Returns "ended", "unknown", or "delivering" if a target has the message already: the client
    would send it again.
    """
    for member in tuple(connections.members):
        talk = member.talk
        if ref and ref in (talk.session.id, "" if talk.tx is None else talk.tx.id):
            if talk.delivering:
                return "delivering"
            member.end("administrator", r.ENDED)
            return "ended"
    return "unknown"

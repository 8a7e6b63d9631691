"""The sessions and messages that a plugin is called for, as the configuration limits them.

`listen` names listeners. Of the conditions in `only`, every one must be met; of those in `unless`,
one is enough to leave the plugin out. A condition about recipients or results is not met before
there are any: with `only` such a plugin is not called at MAIL, with `unless` it is.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from gatepost.model.endpoint import Endpoint
from gatepost.model.session import Recipient, Session, Transaction
from gatepost.net.networks import Networks, is_within


def session_of(subject: Transaction | Session | Endpoint) -> Session:
    """Return the session of a hook's first argument; a refused client has only an address."""
    if isinstance(subject, Transaction):
        return subject.session
    return subject if isinstance(subject, Session) else Session("", subject, subject, 0.0)


class Conditions(msgspec.Struct, frozen=True):
    """Conditions on a session or message; those that are not given are None or empty.

    `authenticated` is whether the client has logged in. `networks` has the client's networks,
    `domains` those of a recipient, in canonical form. `results` has results of other plugins by
    name, such as {"spf": "pass"}.
    """

    authenticated: bool | None = None
    networks: Networks = ()
    domains: frozenset[str] = frozenset()
    results: Mapping[str, str] = {}

    def met(self, args: tuple[Any, ...]) -> list[bool]:
        """Return for each condition that is given whether a hook's arguments meet it."""
        subject = args[0]
        tx = subject if isinstance(subject, Transaction) else None
        session = session_of(subject)
        met: list[bool] = []
        if self.authenticated is not None:
            met.append((session.auth is not None) == self.authenticated)
        if self.networks:
            met.append(is_within(session.peer.host, self.networks))
        if self.domains:
            met.append(any(one.domain in self.domains for one in _recipients(tx, args)))
        for name, value in self.results.items():
            found = session.found if tx is None else tx.found
            met.append(found is not None and found.value(name) == value)
        return met


def _recipients(tx: Transaction | None, args: tuple[Any, ...]) -> list[Recipient]:
    """Return the recipients that a hook is about: at RCPT the one that is being decided."""
    if tx is None:
        return []
    if len(args) > 1 and isinstance(args[1], Recipient):
        return [args[1]]
    return list(tx.recipients)


class Scope(msgspec.Struct, frozen=True):
    """The scope of one plugin; `listen` is empty for all listeners."""

    listen: frozenset[str] = frozenset()
    only: Conditions | None = None
    unless: Conditions | None = None

    def covers(self, args: tuple[Any, ...]) -> bool:
        """Return whether the plugin is called with these arguments of a hook."""
        subject = args[0]
        session = session_of(subject)
        if self.listen and session.listener not in self.listen:
            return False
        if self.only is not None and not all(self.only.met(args)):
            return False
        return self.unless is None or not any(self.unless.met(args))

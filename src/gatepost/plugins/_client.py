"""Common parts of the plugins about the client: which clients, which addresses, and when.

A plugin finds something about a client at HELO or at MAIL, and decides about it at once or at RCPT.
At RCPT it is known whether the client has authenticated, the recipients are recorded, and their
domains can have options of their own.

Limits: findings are kept in the notes of the session or transaction, at most one for each rule.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from gatepost import Decision, Plugin, Reaction, Recipient, Session, Transaction
from gatepost.plugins._addresses import IpAddress, is_internal, parse_address
from gatepost.plugins._strictest import strictest


def outside_address(session: Session) -> IpAddress | None:
    """Return the address of a client that is to be checked.

    None is a client of a network in `relay_for`, an authenticated one, and one without an address
    of the Internet, such as a Unix socket.
    """
    if session.in_relay_network or session.auth is not None:
        return None
    return _outside(session.peer.host)


# Several plugins ask about each client.
@lru_cache(maxsize=256)
def _outside(host: str) -> IpAddress | None:
    address = parse_address(host)
    return None if address is None or is_internal(address) else address


class Finding(NamedTuple):
    """A finding: a word for results and logs, the reply, and the reaction to it.

    `reaction` returns the reaction of some options.
    """

    value: str
    text: str
    enhanced: str
    reaction: Callable[[Any], Reaction]

    def decide(self, options: Any) -> Decision | None:
        """Return the decision by these options, None without one."""
        found = self.reaction(options)
        return found.decide(self.text, enhanced=self.enhanced, reason=self.value)


def decide(findings: Sequence[Finding], options: Any) -> Decision | None:
    """Return the first refusal, or else the first deferral, or else the first that holds."""
    found = strictest((one.reaction(options), one) for one in findings)
    return None if found is None else found[1].decide(options)


def points(findings: Sequence[Finding], options: Any) -> float:
    """Return the sum of the points."""
    return sum(finding.reaction(options).score for finding in findings)


class ClientCheck(Plugin):
    """Base of the plugins that find something about a client, and decide at RCPT at the latest.

    Their options have `decide_at`: "rcpt", or the hook at which they look.
    """

    def keep(self, about: Session | Transaction, findings: Sequence[Finding]) -> None:
        """Keep the findings for RCPT, and count those that have a reaction."""
        about.notes[self.name] = findings
        for one in findings:
            if one.reaction(self.options) != Reaction():
                self.metrics.counter("found", finding=one.value).inc()

    def decide_now(self, about: Session | Transaction) -> Decision | None:
        """Return the decision about what was found, unless it is due at RCPT."""
        options: Any = self.options
        if options.decide_at == "rcpt":
            return None
        return decide(about.notes.get(self.name, ()), options)

    def on_rcpt(self, tx: Transaction, rcpt: Recipient) -> Decision | None:
        """Decide about what was found, with the options of the recipient's domain."""
        findings = tx.notes.get(self.name) or tx.session.notes.get(self.name)
        if not findings or tx.session.auth is not None:
            return None
        return decide(findings, self.options_for(rcpt))

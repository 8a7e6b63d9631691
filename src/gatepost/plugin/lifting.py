"""Which decisions of plugins have no effect, because an entry of `gatepost allow` covers the mail.

An entry lifts what a plugin refuses, defers or holds because of the sender or the content. It does
not lift what the core decides, failures of plugins, and decisions about something else: an unknown
or full mailbox, a limit, a loop, a route. Their status has another subject (`KEPT`, RFC 3463
section 3). Plugins that find malware or limit resources keep their decisions too
(`Plugin.keeps_decisions`), unless `[[plugin]] allowed` is "lift".

Security: a name that a client claims is no proof. A domain counts if SPF has passed for the sender,
or a DKIM signature of the domain is valid; a sender only if SPF has passed. So an entry for a
domain has no effect before MAIL, and not before the plugins `spf` and `dkim` have run.
"""

from typing import Any, Final, Protocol

from gatepost.allow.entries import AllowList, Known
from gatepost.allow.entry import Entry
from gatepost.model.address import domain_key
from gatepost.model.decision import Decision
from gatepost.model.results import Result
from gatepost.model.session import Recipient, Transaction
from gatepost.plugin.clock import Clock
from gatepost.plugin.scope import session_of

# The hooks at which plugins judge the sender and the content.
HOOKS: Final = frozenset({"connect", "helo", "ehlo", "mail", "rcpt", "data", "headers", "message"})
# Subjects of enhanced status codes: the recipient's address, its mailbox, the system, the network.
KEPT: Final = frozenset({"1", "2", "3", "4"})
# The sender's address is one too.
OF_THE_SENDER: Final = frozenset({"1.7", "1.8"})


class AllowSource(Protocol):
    """The source of the entries in force: an `AllowFile`, or an `AllowList` itself."""

    @property
    def current(self) -> AllowList:
        """Return the present version."""


class Lifting:
    """The entries in force, for the plugins of one worker; `clock` has the present time."""

    def __init__(self, source: AllowSource, clock: Clock) -> None:
        self._source = source
        self._clock = clock

    def entry_for(self, decision: Decision, args: tuple[Any, ...]) -> Entry | None:
        """Return the entry that lifts a decision; `args` are the arguments of the hook."""
        allowed = self._source.current
        if not len(allowed) or is_kept(decision):
            return None
        return allowed.find(_known(args, decision), self._clock.time())

    def entry_for_traps(self, tx: Transaction) -> Entry | None:
        """Return the entry that takes the effect from traps."""
        allowed = self._source.current
        if not len(allowed):
            return None
        return allowed.find(_known_of_sender(tx), self._clock.time(), traps=True)


def is_kept(decision: Decision) -> bool:
    """Return whether a decision is about something else than the sender and the content."""
    if decision.enhanced is None:
        return False
    subject = decision.enhanced.partition(".")[2]
    return subject.partition(".")[0] in KEPT and subject not in OF_THE_SENDER


def _known(args: tuple[Any, ...], decision: Decision) -> Known:
    """Return what is known of the mail that a hook is about."""
    subject = args[0]
    if not isinstance(subject, Transaction):
        return Known(session_of(subject).peer.host)
    recipients = decision.recipients or subject.recipients
    if len(args) > 1 and isinstance(args[1], Recipient):
        recipients = [args[1]]
    found = [(one.address.key, f"{one.user}@{one.domain}") for one in recipients]
    return _known_of_sender(subject)._replace(recipients=found)


def _known_of_sender(tx: Transaction) -> Known:
    host, found, path = tx.session.peer.host, tx.found, tx.reverse_path
    if found is None:
        return Known(host)
    signed = [str(one.facts.get("domain", "")) for one in found.all("dkim") if one.value == "pass"]
    domains = [domain_key(one) for one in signed if one]
    if not (path.domain and _is_of_sender(found.get("spf"))):
        return Known(host, domains)
    return Known(host, [domain_key(path.domain), *domains], path.key)


def _is_of_sender(spf: Result | None) -> bool:
    """Return whether SPF has passed for the sender, and not for the name in HELO only."""
    if spf is None or spf.value != "pass":
        return False
    return "mailfrom" in spf.facts or "helo" not in spf.facts

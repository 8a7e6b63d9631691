"""The facts about a server that its plugins can read."""

from collections.abc import Sequence
from typing import Any

import msgspec

from gatepost._version import __version__
from gatepost.model.address import Address, domain_key, local_key, without_tag
from gatepost.model.decision import Decision, Verdict
from gatepost.model.reply import Reply


class TrapRefusal(msgspec.Struct, frozen=True):
    """The refusal of a message because of a trap, as `[traps]` has it.

    `delay` is in seconds. `at_end` is whether it comes after the content, and not at DATA.
    """

    reply: Reply = Reply.parse("554 5.7.1 Message refused by local policy")
    delay: float = 1.0
    at_end: bool = False

    def decide(self, reason: str) -> Decision:
        """Return the same refusal as the decision of a plugin, with its own reason."""
        reply = self.reply
        verdict = Verdict.DENY if reply.code >= 500 else Verdict.DEFER
        return Decision(verdict, reply.text, reply.code, reply.enhanced, reason, False, self.delay)


class ServerFacts(msgspec.Struct, frozen=True):
    """The server of a plugin; the defaults are those of a plugin that no server runs.

    `worker` is the number of the worker process. No other running worker of the server has it, and
    a new worker may get that of one that has ended. `listeners` are the names of the listeners that
    have one. `domains` are the lists of `recipients.domains`. `trap_refusal` refuses a message
    because of a trap. `subaddress` has the separators of `recipients.subaddress`, `routes` are
    the names of the routes that have one, `known` the lists of `recipients.known`.
    """

    hostname: str = "localhost"
    worker: int = 0
    version: str = __version__
    listeners: tuple[str, ...] = ()
    domains: Sequence[Any] = ()
    trap_refusal: TrapRefusal = TrapRefusal()
    subaddress: str = "+"
    routes: tuple[str, ...] = ()
    known: Sequence[Any] = ()

    def user_of(self, address: Address) -> str:
        """Return the local part of an address in canonical form, without its subaddress."""
        return without_tag(local_key(address.local), self.subaddress)

    def is_known(self, address: Address) -> bool:
        """Return whether a list in `recipients.known` has an address, with or without subaddress.

        Tables in `recipients.known` do not count: a look-up in them may have to wait.
        """
        keys = address.key, f"{self.user_of(address)}@{domain_key(address.domain)}"
        return any(source.current.find(*keys) is not None for source in self.known)

    def is_local(self, domain: str) -> bool:
        """Return whether a domain is in `recipients.domains`; those of plugins are not."""
        key = domain_key(domain)
        return any(key in source.current for source in self.domains)

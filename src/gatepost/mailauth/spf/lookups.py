"""The questions of one check, counted (RFC 7208 section 4.6.4).

Terms are counted, not questions: "mx" with ten hosts is one look-up. A term is a void look-up if
its questions bring no record at all to compare. So for an IPv6 client the hosts of "mx" that have
only IPv4 addresses count once at most, and not at all next to a host with an IPv6 address.
"""

from collections.abc import Sequence
from typing import Any

from gatepost.mailauth.hosts import address_kind, addresses, ask_addresses, is_name
from gatepost.mailauth.shown import shown
from gatepost.mailauth.spf.client import UNKNOWN, Client
from gatepost.mailauth.spf.macros import MacroText
from gatepost.mailauth.spf.problem import SpfError
from gatepost.mailauth.spf.record import Mechanism
from gatepost.mailauth.spf.result import Limits
from gatepost.net.questions import Answer, Check, Kind, ask_one


class Lookups:
    """Asks the questions of one check."""

    __slots__ = ("_names", "_pointers", "_terms", "_voids", "client", "limits")

    def __init__(self, client: Client, limits: Limits) -> None:
        self.client = client
        self.limits = limits
        self._terms = 0
        self._voids = 0
        self._pointers: Answer | None = None
        self._names: list[str] = []

    def count_term(self, term: str, domain: str) -> None:
        """Count a term with look-ups before it asks; raises SpfError beyond the limit."""
        self._terms += 1
        if self._terms > self.limits.lookups:
            raise _over(f"more than {self.limits.lookups} terms with look-ups", term, domain)

    def count_void(self, term: str, domain: str) -> None:
        """Count a term without any record to compare; raises SpfError beyond the limit."""
        self._voids += 1
        if self._voids > self.limits.void_lookups:
            raise _over(f"more than {self.limits.void_lookups} void look-ups", term, domain)

    def target(self, mechanism: Mechanism, domain: str) -> Check[str]:
        """Return the name that a mechanism looks up, "" for one that cannot exist (section 4.8)."""
        if mechanism.target is None:
            return domain
        name = yield from self.expand(mechanism.target, mechanism.text, domain)
        return name if is_name(name) else ""

    def expand(self, text: MacroText, term: str, domain: str) -> Check[str]:
        """Expand the domain-spec of a term; the name may be one that cannot exist."""
        if not text.letters:
            return text.name({})
        if "p" in text.letters and self._pointers is None:
            self.count_term(term, domain)
        return text.name((yield from self.values(text, domain)))

    def values(self, text: MacroText, domain: str) -> Check[dict[str, str]]:
        """Return the values of macros in a text; this asks for the name of the client if needed."""
        validated = (yield from self._validated(domain)) if "p" in text.letters else UNKNOWN
        return self.client.values(domain, validated)

    def ask(self, kind: Kind, name: str) -> Check[Sequence[Any]]:
        """Return the records of a name; raises SpfError without an answer."""
        answer = yield from ask_one(kind, name)
        if answer.status == "failed":
            raise _failed(kind, name, answer)
        return answer.records

    def match_hosts(
        self, mechanism: Mechanism, hosts: Sequence[str], domain: str
    ) -> Check[str | None]:
        """Return the first host with an address that the mechanism covers, None without.

        All questions are asked at the same time. The hosts are compared in their order: a host
        whose question failed ends the check only if no host before it matches.
        """
        void = True
        answers = yield from ask_addresses(hosts, self.client.version)
        for host, answer in zip(hosts, answers, strict=True):
            if answer.status == "failed":
                raise _failed(address_kind(self.client.version), host, answer)
            void = void and not answer.records
            if self._covered(mechanism, answer):
                return shown(host)
        if void and hosts:
            self.count_void(mechanism.text, domain)
        return None

    def _covered(self, mechanism: Mechanism, answer: Answer) -> bool:
        version, number = self.client.version, self.client.number
        return any(mechanism.covers(version, one, number) for one in addresses(answer, version))

    def pointers(self) -> Check[Answer]:
        """Ask for the names of the client, once in a check; `names` has those that are confirmed.

        Only the first names are used. A question that failed confirms nothing (section 5.5).
        """
        if self._pointers is None:
            self._pointers = yield from ask_one("PTR", str(self.client.address))
            first = self._pointers.records[: self.limits.names]
            self._names = yield from self._confirmed([one for one in first if is_name(one)])
        return self._pointers

    @property
    def names(self) -> Sequence[str]:
        """The confirmed names of the client, after `pointers`."""
        return self._names

    def _confirmed(self, names: Sequence[str]) -> Check[list[str]]:
        version, number = self.client.version, self.client.number
        answers = yield from ask_addresses(names, version)
        pairs = zip(names, answers, strict=True)
        return [name for name, answer in pairs if number in addresses(answer, version)]

    def _validated(self, domain: str) -> Check[str]:
        """Return the value of the macro p: the domain itself, a name in it, another, "unknown"."""
        yield from self.pointers()
        ranked = sorted(self._names, key=lambda name: _distance(name, domain))
        return ranked[0] if ranked else UNKNOWN


def is_within(name: str, domain: str) -> bool:
    """Return whether a name is a domain or a name below it."""
    return name.lower() == domain.lower() or name.lower().endswith(f".{domain.lower()}")


def _distance(name: str, domain: str) -> int:
    if name.lower() == domain.lower():
        return 0
    return 1 if is_within(name, domain) else 2


def _over(limit: str, term: str, domain: str) -> SpfError:
    return SpfError("permerror", f"{limit}, at {shown(term)} of {shown(domain)}")


def _failed(kind: Kind, name: str, answer: Answer) -> SpfError:
    problem = f": {shown(answer.problem)}" if answer.problem else ""
    return SpfError("temperror", f"no answer to {kind} {shown(name)}{problem}")

"""Check the name in HELO and EHLO: its form, whose name it is, and where it leads.

RFC 5321 section 4.1.4 forbids to refuse mail only because the name does not lead to the client's
address. So that gives points only.
"""

from collections.abc import Iterator, Sequence
from operator import attrgetter
from typing import Literal

from gatepost import (
    Address,
    AddressError,
    Decision,
    NoSuchNameError,
    Plugin,
    Reaction,
    Session,
    together,
)
from gatepost.plugins._addresses import IpAddress, parse_address
from gatepost.plugins._client import ClientCheck, Finding, outside_address, points

_TAG = "ipv6:"
# Octets of a name in the result.
_SHOWN = 255


class Helo(ClientCheck):
    """Adds the result `helo`: "pass", or the first finding."""

    uses_dns = True

    class Options(Plugin.Options):
        """Reactions by what is found."""

        invalid: Reaction = Reaction(3)
        """The reaction to a name that is no host name and no address literal, such as an IP
        address without brackets."""
        own_name: Reaction = Reaction("deny")
        """The reaction to the name of this server."""
        own_domain: Reaction = Reaction(3)
        """The reaction to a name that is in `recipients.domains`."""
        own_address: Reaction = Reaction("deny")
        """The reaction to the address literal of this server."""
        literal: Reaction = Reaction(2)
        """The reaction to an address literal of another host."""
        bare: Reaction = Reaction(2)
        """The reaction to a name without a dot."""
        unresolved: Reaction = Reaction(2)
        """The reaction to a name that has neither an address nor an MX record."""
        elsewhere: float = 1.0
        """The points for a name that leads to other addresses than the client's."""
        changed: Reaction = Reaction(1)
        """The reaction to a name that is not that of the first HELO of the session."""
        decide_at: Literal["helo", "rcpt"] = "rcpt"
        """Where a client is refused. At "rcpt" the recipients are recorded, and authenticated
        clients are exempt."""

    async def on_helo(self, session: Session, name: str) -> Decision | None:
        """Examine the name; look it up if nothing else is wrong with it."""
        address = outside_address(session)
        if address is None:
            return None
        value = self._form(session, name, address)
        if value == "":
            value = await self._destination(name, address)
        findings = tuple(self._findings(session, name, value))
        word = findings[0].value if findings else value or "pass"
        all_of_them = " ".join(one.value for one in findings)
        facts = {"name": name[:_SHOWN], "findings": all_of_them}
        session.results.replace("helo", word, **facts, score=points(findings, self.options))
        self.keep(session, findings)
        return self.decide_now(session)

    def _findings(self, session: Session, name: str, value: str) -> Iterator[Finding]:
        if value in _FINDINGS:
            yield _FINDINGS[value]
        first = session.notes.setdefault(f"{self.name} first", name.lower())
        if name.lower() != first:
            yield _FINDINGS["changed"]

    def _form(self, session: Session, name: str, address: IpAddress) -> str:
        """Return what can be seen without a look-up, "" for nothing."""
        try:
            parsed = Address.parse(f"helo@{name}")
        except AddressError:
            return "invalid"
        if name[0] == "[":
            return _literal(name[1:-1], session, address)
        if parse_address(name) is not None:
            return "invalid"
        if parsed.domain.lower() == self.server.hostname.lower():
            return "own_name"
        if self.server.is_local(parsed.domain):
            return "own_domain"
        return "" if "." in parsed.domain else "bare"

    async def _destination(self, name: str, address: IpAddress) -> str:
        """Return where a name leads: "pass", "elsewhere", "unresolved" or "temperror"."""
        if not self._asks():
            return ""
        answers = await together(self.resolver.a(name), self.resolver.aaaa(name))
        found = {parse_address(one) for one in _records(answers)}
        if address in found:
            return "pass"
        if not found:
            answers += await together(self.resolver.mx(name))
        if any(_failed(one) for one in answers):
            self.metrics.counter("unanswered").inc()
            return "temperror"
        return "elsewhere" if found or list(_records(answers)) else "unresolved"

    def _asks(self) -> bool:
        return self.options.unresolved != Reaction() or self.options.elsewhere != 0


def _literal(text: str, session: Session, address: IpAddress) -> str:
    """Return what is wrong with an address literal; "pass" is that of the client."""
    claimed = parse_address(text[len(_TAG) :] if text.lower().startswith(_TAG) else text)
    if claimed == address:
        return "pass"
    return "own_address" if claimed == parse_address(session.local.host) else "literal"


def _records(answers: Sequence[object]) -> Iterator[str]:
    for answer in answers:
        if isinstance(answer, list):
            yield from answer


def _failed(answer: object) -> bool:
    """Return whether it is not known what an answer is."""
    return isinstance(answer, Exception) and not isinstance(answer, NoSuchNameError)


def _elsewhere(options: Helo.Options) -> Reaction:
    return Reaction(options.elsewhere)


_NOT_YOURS = "Your HELO name is that of this server"
_FINDINGS = {
    value: Finding(value, text, "5.7.1", attrgetter(value))
    for value, text in {
        "invalid": "Your HELO name is neither a host name nor an address literal",
        "own_name": _NOT_YOURS,
        "own_domain": _NOT_YOURS,
        "own_address": "Your HELO name is the address of this server",
        "literal": "The address in your HELO name is not yours",
        "bare": "Your HELO name has no domain",
        "unresolved": "Your HELO name does not exist in the DNS",
        "changed": "Your HELO name has changed",
    }.items()
}
_FINDINGS["elsewhere"] = Finding("elsewhere", "", "5.7.1", _elsewhere)

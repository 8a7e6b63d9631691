"""Check that the name of the client's address leads back to the address (FCrDNS, RFC 8601 iprev).

The names are looked up at HELO, not before the greeting: clients that only connect cost no
question, and the greeting does not wait. The decision follows at RCPT.

Security: anyone can set any name for their address, so only a name that was confirmed is passed on.
"""

import re
from operator import attrgetter
from typing import Literal

from gatepost import Decision, Plugin, Reaction, Session, ask
from gatepost.mailauth.iprev import IprevResult, check_iprev
from gatepost.plugins._addresses import IpAddress
from gatepost.plugins._client import ClientCheck, Finding, outside_address, points

CODE = "5.7.25"  # RFC 7372 s3.3

# Words in names of addresses that a provider assigns to its customers.
DYNAMIC = re.compile(
    r"(?<![a-z])(?:adsl|broadband|cable|cust(?:omer)?|dhcp|dial(?:-?up|in)?|dsl|dyn(?:amic|ip)?|"
    r"fiber|ftth|gprs|home|mobile|pool|ppp(?:oe)?|residential|user|vdsl|wifi|wireless)(?![a-z])"
)
# Words in names of servers, whatever else is in them.
SERVER = re.compile(r"(?<![a-z])(?:colo|mail|mta|mx|out|relay|server|smtp|static|vps)(?![a-z])")


class Iprev(ClientCheck):
    """Adds the result `iprev`, with the confirmed name of the client as `name`."""

    uses_dns = True

    class Options(Plugin.Options):
        """Reactions by what is found."""

        missing: Reaction = Reaction(3)
        """The reaction to a client whose address has no name."""
        unconfirmed: Reaction = Reaction(2)
        """The reaction to a client whose address has only names that do not lead to it."""
        generic: Reaction = Reaction(2)
        """The reaction to a confirmed name that a provider has made of the address."""
        temperror: Reaction = Reaction("none")
        """The reaction if the DNS does not answer."""
        decide_at: Literal["helo", "rcpt"] = "rcpt"
        """Where a client is refused. At "rcpt" the recipients are recorded, and authenticated
        clients are exempt."""

    async def on_helo(self, session: Session, _name: str) -> Decision | None:
        """Look up the names of the address, once in a session."""
        address = outside_address(session)
        if address is None:
            return None
        if "iprev" not in session.results:
            await self._look_up(session, address)
        return self.decide_now(session)

    async def _look_up(self, session: Session, address: IpAddress) -> None:
        found = await ask(check_iprev(str(address)), self.resolver)
        finding = _finding(found, address)
        if found.result == "temperror":
            self.metrics.counter("unanswered").inc()
        findings = () if finding is None else (finding,)
        facts = {"ip": str(address), "name": found.name, "reason": found.reason}
        session.results.add("iprev", found.result, **facts, score=points(findings, self.options))
        self.keep(session, findings)


def _finding(found: IprevResult, address: IpAddress) -> Finding | None:
    if found.result == "pass":
        return _GENERIC if is_generic(found.name, address) else None
    return _BY_RESULT[found.result]


_GENERIC = Finding(
    "generic", "The name of your IP address is not that of a server", CODE, attrgetter("generic")
)
_BY_RESULT = {
    "permerror": Finding(
        "missing", "Your IP address has no reverse name", CODE, attrgetter("missing")
    ),
    "fail": Finding(
        "unconfirmed",
        "The reverse name of your IP address does not lead to it",
        CODE,
        attrgetter("unconfirmed"),
    ),
    "temperror": Finding(
        "temperror", "Looking up your IP address failed", CODE, attrgetter("temperror")
    ),
}


def is_generic(name: str, address: IpAddress) -> bool:
    """Return whether a name looks like one that a provider has made of the address.

    It has the address in one of the usual forms, or part of it with a word such as "dsl". A name
    with a word such as "static" or "mail" left of its domain is not generic.
    """
    left = ".".join(name.lower().rstrip(".").split(".")[:-2])
    if not left or SERVER.search(left):
        return False
    if any(_contains(left, form) for form in _whole(address)):
        return True
    return bool(DYNAMIC.search(left)) and any(_contains(left, one) for one in _parts(address))


def _contains(name: str, part: str) -> bool:
    """Return whether a part of an address is in a name, and not within a longer number."""
    start = name.find(part)
    while start >= 0:
        end = start + len(part)
        if not (name[:start][-1:].isdigit() or name[end : end + 1].isdigit()):
            return True
        start = name.find(part, start + 1)
    return False


def _whole(address: IpAddress) -> list[str]:
    """Return the forms in which an address is part of a name."""
    if address.version == 6:
        digits = address.exploded
        groups = digits.split(":")
        bare = [format(int(one, 16), "x") for one in groups]
        return ["".join(groups), "-".join(groups), "-".join(bare), "".join(groups)[16:]]
    octets = str(address).split(".")
    padded = [one.zfill(3) for one in octets]
    forms = [address.packed.hex(), "".join(padded)]
    for separator in ("-", ".", "_", "x"):
        forms += [separator.join(one) for one in (octets, octets[::-1], padded, padded[::-1])]
    return forms


def _parts(address: IpAddress) -> list[str]:
    """Return shorter forms, which mean less."""
    if address.version == 6:
        return [address.exploded[-9:].replace(":", ""), address.exploded[-4:]]
    *_, third, fourth = str(address).split(".")
    pairs = ((third, fourth), (fourth, third))
    return [f"{one}{separator}{other}" for one, other in pairs for separator in "-._"]

"""Whether a name of an IP address leads back to it: iprev (RFC 8601 section 3)."""

from collections.abc import Iterator
from ipaddress import ip_address

import msgspec

from gatepost.net.questions import Answer, Check, Question, ask_one

# The names of an address that are looked up (RFC 8601 s3: "a local limit").
MOST_NAMES = 10


class IprevResult(msgspec.Struct, frozen=True):
    """The result by RFC 8601 section 2.7.3; `name` is the confirmed name, "" without one."""

    result: str
    reason: str
    name: str = ""


def check_iprev(ip: str) -> Check[IprevResult]:
    """Look up the names of an IP address, and the addresses of each; return the result.

    "permerror" is an address without a name. Raises ValueError for text that is no IP address.
    """
    address = ip_address(ip)
    found = yield from ask_one("PTR", ip)
    if found.status == "failed":
        return IprevResult("temperror", f"PTR {ip}: {found.problem}")
    if found.status != "found":
        return IprevResult("permerror", f"{ip} has no name")
    names = found.records[:MOST_NAMES]
    kind = "A" if address.version == 4 else "AAAA"
    answers = yield [Question(kind, name) for name in names]
    for name, answer in zip(names, answers, strict=True):
        if address in _addresses(answer):
            return IprevResult("pass", f"{name} is the name of {ip}", name)
    if any(answer.status == "failed" for answer in answers):
        return IprevResult("temperror", f"the names of {ip} cannot be looked up")
    return IprevResult("fail", f"no name of {ip} leads to it")


def _addresses(answer: Answer) -> Iterator[object]:
    for record in answer.records:
        try:
            yield ip_address(record)
        except ValueError:
            continue

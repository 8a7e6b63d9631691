"""The method iprev (RFC 8601 sections 2.7.3 and 3): names of an address that have the address.

Anyone can set any name for their address. Only a name whose address records contain the address is
confirmed. Limits: the first MAX_NAMES names are examined, with one question each.
"""

from typing import Literal

import msgspec

from gatepost.mailauth.hosts import (
    IPAddress,
    address_kind,
    addresses,
    ask_addresses,
    is_name,
    plain_address,
)
from gatepost.mailauth.shown import shown
from gatepost.net.questions import Answer, Check, ask_one

MAX_NAMES = 10


class IprevResult(msgspec.Struct, frozen=True):
    """The result of iprev. `name` is the confirmed name, "" without one."""

    result: Literal["pass", "fail", "temperror", "permerror"]
    reason: str
    name: str = ""


def check_iprev(ip: str | IPAddress) -> Check[IprevResult]:
    """Return the result of iprev for the IP address of a client.

    "permerror" without a name, "temperror" if no name is confirmed and a question failed. Raises
    ValueError if `ip` is no IP address.
    """
    address = plain_address(ip)
    pointers = yield from ask_one("PTR", str(address))
    if pointers.status == "failed":
        return IprevResult("temperror", _failed(f"PTR {address}", pointers))
    if not pointers.records:
        return IprevResult("permerror", f"{address} has no name")
    names = [one for one in pointers.records[:MAX_NAMES] if is_name(one)]
    answers = yield from ask_addresses(names, address.version)
    return _compared(address, dict(zip(names, answers, strict=True)))


def _compared(address: IPAddress, answers: dict[str, Answer]) -> IprevResult:
    for name, answer in answers.items():
        if int(address) in addresses(answer, address.version):
            return IprevResult("pass", f"{address} is {shown(name)}", name)
    for name, answer in answers.items():
        if answer.status == "failed":
            kind = address_kind(address.version)
            return IprevResult("temperror", _failed(f"{kind} {shown(name)}", answer))
    if not answers:
        return IprevResult("fail", f"{address} has no name that can have an address")
    names = ", ".join(map(shown, answers))
    return IprevResult("fail", f"{address} has the names {names}, none has this address")


def _failed(question: str, answer: Answer) -> str:
    return f"no answer to {question}" + (f": {shown(answer.problem)}" if answer.problem else "")

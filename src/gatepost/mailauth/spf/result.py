"""The result of a check, and its limits."""

from typing import Literal, TypeAlias

from gatepost.model.structs import Frozen

Word: TypeAlias = Literal[
    "pass", "fail", "softfail", "neutral", "none", "temperror", "permerror"
]  # RFC 8601 s2.7.2


class SpfResult(Frozen, frozen=True):
    """The result of SPF for a client and a domain.

    `reason` names the term that matched, or what is wrong. `domain` is the domain that was checked.
    `mechanism` is the term of its record that matched, "default" if none did, "" without a result
    of a record. `explanation` is a text of the domain's owner, "" if there is none or it was not
    requested.
    """

    result: Word
    reason: str
    domain: str = ""
    mechanism: str = ""
    explanation: str = ""


class Limits(Frozen, frozen=True):
    """The limits of a check (RFC 7208 section 4.6.4); beyond them the result is "permerror".

    `lookups` counts terms that cause questions, `void_lookups` those of them without any answer.
    `hosts` is the number of MX records of a term. Of the names of an address (PTR) only the first
    `names` are used. `octets` is the length of a record; those in use fit into one packet.
    """

    lookups: int = 10
    void_lookups: int = 2
    hosts: int = 10
    names: int = 10
    octets: int = 8192

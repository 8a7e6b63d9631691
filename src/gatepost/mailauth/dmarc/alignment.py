"""The alignment of authenticated identifiers with the author domain: RFC 9989 section 4.10.2.

An identifier is aligned if it is the author domain, or, if the mode is relaxed, if both have the
same organizational domain. Each of them is found by its own walk. An identifier that is not within
the organizational domain of the author cannot have the same one, so it needs no walk.
"""

from typing import Literal, NamedTuple

from gatepost.mailauth.dmarc.walk import Records, Walk
from gatepost.net.questions import Check

Mode = Literal["strict", "relaxed"]


class Identifier(NamedTuple):
    """A domain and the result of its check.

    `method` is "spf" or "dkim", `result` the word of RFC 8601. For SPF, `domain` is that of MAIL
    FROM, or of HELO if the reverse-path is null; a result for HELO is not used otherwise
    (section 4.4.2). For DKIM, it is the `d=` of a signature, and `selector` its `s=`.
    """

    method: Literal["spf", "dkim"]
    domain: str
    result: str = "pass"
    selector: str = ""


class Alignment(NamedTuple):
    """An identifier, the mode in which it was compared, and whether it is aligned.

    `problem` is why the alignment is not known.
    """

    identifier: Identifier
    mode: Mode
    aligned: bool = False
    problem: str = ""


def align(identifier: Identifier, mode: Mode, author: Walk, records: Records) -> Check[Alignment]:
    """Compare an identifier, whose domain is in canonical form, with the author domain."""
    domain = identifier.domain
    if domain == author.start:
        return Alignment(identifier, mode, aligned=True)
    if mode == "strict" or not domain:
        return Alignment(identifier, mode)
    if author.problem:
        related = domain.rpartition(".")[2] == author.start.rpartition(".")[2]
        return Alignment(identifier, mode, problem=author.problem if related else "")
    common = author.organizational_domain
    if not f".{domain}".endswith(f".{common}"):
        return Alignment(identifier, mode)
    walk = yield from records.walk(domain)
    aligned = walk.organizational_domain == common
    return Alignment(identifier, mode, aligned=aligned, problem=walk.problem)

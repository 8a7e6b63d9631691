"""The evaluation of DMARC for one message: RFC 9989 sections 4.10 and 5.3.

Theory of operation
-------------------
The record of the author domain comes first. If every identifier that passed is the author domain
itself, one question is enough, because that domain then counts as the organizational domain
(section 4.10.2). Otherwise the names of the walk are asked at the same time. Identifiers below the
organizational domain of the author need a walk of their own, of which most names are known by then.

A question that failed gives "temperror" only if its answer could change the result. The same
applies to an SPF or DKIM check with the result "temperror" whose domain is aligned.

Security: the author domain and the identifiers come from clients.

Limits: MOST_IDENTIFIERS different identifiers that passed or may have passed are compared, the
others are listed only. A walk asks 8 questions at most.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from gatepost.mailauth.dmarc.alignment import Alignment, Identifier, Mode, align
from gatepost.mailauth.dmarc.author import Author, read_author
from gatepost.mailauth.dmarc.policy import Applied, choose, discover
from gatepost.mailauth.dmarc.record import Record
from gatepost.mailauth.dmarc.result import DmarcResult
from gatepost.mailauth.dmarc.walk import Records, Walk
from gatepost.model.address import AddressError, domain_key, parse_domain
from gatepost.net.questions import Check

MOST_IDENTIFIERS = 10

_NAMED = 6  # identifiers in a reason
_MODES: dict[str, Mode] = {"r": "relaxed", "s": "strict"}
_TITLES = {"spf": "SPF", "dkim": "DKIM"}


def evaluate_message(header_block: bytes, identifiers: Sequence[Identifier]) -> Check[DmarcResult]:
    """Evaluate a message by its header block (lines in CRLF) and the results of SPF and DKIM."""
    return (yield from evaluate_author(read_author(header_block), identifiers))


def evaluate_author(author: Author, identifiers: Sequence[Identifier]) -> Check[DmarcResult]:
    """Evaluate a message by what `read_author` has found and the results of SPF and DKIM."""
    if not author.domain:
        return DmarcResult("permerror", author.problem)
    return (yield from evaluate(author.domain, identifiers))


def evaluate(author: str, identifiers: Sequence[Identifier]) -> Check[DmarcResult]:
    """Evaluate a message of an author domain by the results of SPF and DKIM."""
    try:
        domain = parse_domain(author)
    except AddressError as error:
        return DmarcResult("permerror", f"the author domain is wrong: {error}")
    records = Records()
    keyed = [one._replace(domain=domain_key(one.domain)) for one in identifiers]
    walk = yield from _author_walk(domain, keyed, records)
    result = yield from _with_walk(walk, keyed, records)
    return DmarcResult(
        domain=domain,
        organizational_domain=walk.organizational_domain,
        notes=tuple(records.notes),
        **result,
    )


def _author_walk(domain: str, identifiers: list[Identifier], records: Records) -> Check[Walk]:
    """Walk from the author domain; one question is enough if all identifiers are this domain."""
    passed = {one.domain for one in identifiers if _may_pass(one)}
    if passed == {domain}:
        yield from records.ask([domain])
        own = records[domain].record
        if own is not None:
            return Walk(domain, [(domain, own)])
    return (yield from records.walk(domain))


def _may_pass(identifier: Identifier) -> bool:
    return identifier.result in ("pass", "temperror")


def _with_walk(
    walk: Walk, identifiers: list[Identifier], records: Records
) -> Check[dict[str, Any]]:
    """Return the fields of the result."""
    found = discover(walk)
    if walk.problem and (found is None or found[0] != walk.start):
        return {"result": "temperror", "reason": f"the policy is not known: {walk.problem}"}
    if found is None:
        return {"result": "none", "reason": f"{walk.start} has no DMARC record"}
    domain, record = found
    if not record.applies:
        reason = f"the record of {domain} has neither a valid policy nor rua"
        return {"result": "none", "reason": reason, "record": record, "record_domain": domain}
    alignments = yield from _alignments(walk, record, identifiers, records)
    applied = yield from choose(record, domain, walk.start, records)
    result, reason = _judged(walk.start, alignments, applied)
    return {
        "result": result,
        "reason": reason,
        "policy": applied.policy,
        "published": applied.published,
        "tag": applied.tag,
        "disposition": applied.policy if result == "fail" else "none",
        "record": record,
        "record_domain": domain,
        "alignments": tuple(alignments),
    }


def _alignments(
    author: Walk, record: Record, identifiers: list[Identifier], records: Records
) -> Check[list[Alignment]]:
    """Compare the identifiers that passed or may have passed."""
    found = list[Alignment]()
    for one in islice(dict.fromkeys(filter(_may_pass, identifiers)), MOST_IDENTIFIERS):
        mode = _MODES[record.aspf if one.method == "spf" else record.adkim]
        found.append((yield from align(one, mode, author, records)))
    rest = (one for one in dict.fromkeys(identifiers) if not _may_pass(one))
    for one in islice(rest, MOST_IDENTIFIERS):
        mode = _MODES[record.aspf if one.method == "spf" else record.adkim]
        found.append(Alignment(one, mode, aligned=one.domain == author.start))
    return found


def _judged(author: str, alignments: list[Alignment], applied: Applied) -> tuple[str, str]:
    """Return the result and the reason."""
    for one in alignments:
        if one.aligned and one.identifier.result == "pass":
            return "pass", f"{_title(one)} is aligned with {author} ({one.mode})"
    for problem in _uncertain(alignments, applied):
        return "temperror", problem
    return "fail", "; ".join(_failures(alignments)) or "no SPF or DKIM result"


def _uncertain(alignments: list[Alignment], applied: Applied) -> Iterator[str]:
    """Yield why the result is not known."""
    for one in filter(lambda one: _may_pass(one.identifier), alignments):
        if one.problem:
            yield f"the alignment of {_title(one)} is not known: {one.problem}"
        elif one.aligned:
            yield f"{_title(one)} could not be checked"
    if applied.problem:
        yield f"the policy is not known: {applied.problem}"


def _failures(alignments: list[Alignment]) -> Iterator[str]:
    for one in alignments[:_NAMED]:
        state = one.identifier.result
        if state == "pass":
            yield f"{_title(one)} passed, but is not aligned ({one.mode})"
        else:
            yield f"{_title(one)} has the result {state}"
    if len(alignments) > _NAMED:
        yield f"and {len(alignments) - _NAMED} more"


def _title(alignment: Alignment) -> str:
    one = alignment.identifier
    return f"{_TITLES[one.method]} of {one.domain or 'no domain'}"

"""Advice about the results of a message: one text for each known cause."""

from collections.abc import Callable, Iterator

from gatepost.checks.authcheck.evaluation import Envelope, Evaluation
from gatepost.mailauth.dmarc import DmarcResult


def hints(envelope: Envelope, found: Evaluation) -> Iterator[str]:
    """Yield what to do; nothing if DMARC passes."""
    if found.dmarc.result == "pass":
        return
    for applies, text in _HINTS:
        if applies(envelope, found):
            yield text.format(domain=found.dmarc.domain, parent=_parent(found.dmarc))


def _no_ip(envelope: Envelope, _found: Evaluation) -> bool:
    return not envelope.ip


def _no_signature(_envelope: Envelope, found: Evaluation) -> bool:
    return _has_record(found.dmarc) and not found.dkim


def _changed_body(_envelope: Envelope, found: Evaluation) -> bool:
    return any(one.result == "fail" and "body" in one.reason for one in found.dkim)


def _no_aligned_signature(_envelope: Envelope, found: Evaluation) -> bool:
    passed = any(one.result == "pass" for one in found.dkim)
    return _has_record(found.dmarc) and passed and not found.dmarc.is_aligned("dkim")


def _no_aligned_sender(_envelope: Envelope, found: Evaluation) -> bool:
    return (
        _has_record(found.dmarc)
        and found.spf.result == "pass"
        and not found.dmarc.is_aligned("spf")
    )


def _forwarded(_envelope: Envelope, found: Evaluation) -> bool:
    return found.arc.result == "pass"


def _no_record(_envelope: Envelope, found: Evaluation) -> bool:
    return bool(found.dmarc.domain) and found.dmarc.record is None and not found.dmarc.notes


def _several_records(_envelope: Envelope, found: Evaluation) -> bool:
    return bool(found.dmarc.notes)


def _has_record(dmarc: DmarcResult) -> bool:
    return dmarc.record is not None


def _unjoined_parent(_envelope: Envelope, found: Evaluation) -> bool:
    return bool(_parent(found.dmarc))


def _parent(dmarc: DmarcResult) -> str:
    """Return the parent of the author domain that passed, and is not aligned without a record."""
    for one in dmarc.alignments:
        parent = one.identifier.domain
        passed = one.identifier.result == "pass" and not one.aligned and not one.problem
        if passed and one.mode == "relaxed" and dmarc.domain.endswith(f".{parent}"):
            return parent
    return ""


# When each hint applies, and its text.
_HINTS: tuple[tuple[Callable[[Envelope, Evaluation], bool], str], ...] = (
    (
        _no_ip,
        (
            "Give --ip, --helo and --from as they were in the session: the topmost Received field"
            " has the client's address and name, Return-Path the sender."
        ),
    ),
    (
        _unjoined_parent,
        (
            "{domain} and {parent} count as one organisation only if the walk from each of them"
            " ends at the same DMARC record: publish one at _dmarc.{parent}."
        ),
    ),
    (_no_signature, "The sender's server does not sign: sign with DKIM and d={domain}."),
    (
        _changed_body,
        (
            "A server on the way, such as a mailing list or a filter, has changed the body, or the"
            " file is not as it was received."
        ),
    ),
    (
        _no_aligned_signature,
        "The signature that passes is of another domain: add one with d={domain}.",
    ),
    (
        _no_aligned_sender,
        (
            "SPF passes for another domain: use a sender in {domain} in MAIL FROM, or sign with"
            " d={domain}."
        ),
    ),
    (
        _forwarded,
        (
            "An ARC chain passes, so a server has forwarded the message. Its results count only if"
            " you trust that server."
        ),
    ),
    (_several_records, "Publish one DMARC record: of several at a name, none counts."),
    (_no_record, "A record at _dmarc.{domain}, such as v=DMARC1; p=none, would request a policy."),
)

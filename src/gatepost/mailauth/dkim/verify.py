"""Verify the DKIM signatures of a message: RFC 6376 section 6, RFC 8301, RFC 8463, RFC 8616.

All keys are asked for at the same time. A signature passes only if its key is valid and permits it,
the header and the whole body match, and it is neither expired nor from the future. With l= the
octets behind the signed ones can be anyone's, so a body that has some never passes.
"""

from collections.abc import Iterable, Sequence

from gatepost.mailauth.dkim.body_hashes import BodyHashes
from gatepost.mailauth.dkim.fault import Fault, SignatureError, Word
from gatepost.mailauth.dkim.header_block import HeaderBlock
from gatepost.mailauth.dkim.header_hash import header_hash
from gatepost.mailauth.dkim.key_record import KeyRecord, read_answer
from gatepost.mailauth.dkim.signature import Signature
from gatepost.mailauth.dkim.tags import shown_base64
from gatepost.model.structs import Frozen
from gatepost.net.questions import Answer, Check, Question

# Clocks differ: seconds that t= may be in the future and x= in the past.
TOLERANCE = 300


class DkimResult(Frozen, frozen=True):
    """The result of one signature: a word of RFC 8601 section 2.7.1, and a reason for people.

    `domain` is d=, `identity` i=, `algorithm` a=, `bits` the length of the key, 0 without one.
    `signature` is the first 8 characters of b= (RFC 6008). `testing` is whether the domain tests
    DKIM (t=y): then its failures mean the same as no signature.
    """

    result: Word
    reason: str
    domain: str
    selector: str
    identity: str
    algorithm: str
    bits: int = 0
    signature: str = ""
    testing: bool = False


def verify(
    header_block: bytes | HeaderBlock,
    signatures: Sequence[Signature],
    hashes: BodyHashes,
    now: float,
) -> Check[list[DkimResult]]:
    """Return the results of signatures, in their order.

    `header_block` and `signatures` are those of `read_signatures`, `hashes` those of the body for
    the same signatures, `now` is a Unix time. Raises LookupError if `hashes` lacks a signature.
    """
    block = HeaderBlock.of(header_block)
    faults = [fault_at(one, now) for one in signatures]
    valid = (one for one, fault in zip(signatures, faults, strict=True) if fault is None)
    answers = yield from ask_keys(one.key_name for one in valid)
    return [
        _reported(one, fault)
        if fault is not None
        else _verified(block, one, hashes, answers[one.key_name])
        for one, fault in zip(signatures, faults, strict=True)
    ]


def ask_keys(names: Iterable[str]) -> Check[dict[str, Answer]]:
    """Return the answers for the names of key records, each asked for once."""
    questions = [Question("TXT", name) for name in dict.fromkeys(names)]
    if not questions:
        return {}
    answers = yield questions
    return {one.name: answer for one, answer in zip(questions, answers, strict=True)}


def fault_at(signature: Signature, now: float) -> Fault | None:
    """Return the fault of a signature at a Unix time, before its key is looked up."""
    if signature.fault is not None:
        return signature.fault
    if signature.expires is not None and signature.expires + TOLERANCE < now:
        return Fault("policy", "the signature has expired (x=)")
    if signature.signed_at is not None and signature.signed_at - TOLERANCE > now:
        return Fault("policy", "the signature is from the future (t=)")
    return None


def _verified(
    block: HeaderBlock, signature: Signature, hashes: BodyHashes, answer: Answer
) -> DkimResult:
    record = None
    try:
        record = read_answer(answer)
        _require_identity(signature, record)
        require_match(block, signature, hashes, record)
    except SignatureError as error:
        return _reported(signature, error.fault, record)
    return _reported(signature, _PASS, record)


_PASS = Fault("pass", "the signature matches")


def _require_identity(signature: Signature, record: KeyRecord) -> None:
    if record.strict and not signature.identity.endswith("@" + signature.domain):
        raise SignatureError("permerror", "the key does not permit a subdomain in i= (t=s)")


def require_match(
    block: HeaderBlock, signature: Signature, hashes: BodyHashes, record: KeyRecord
) -> None:
    """Raise `SignatureError` unless the key permits the signature, and both hashes match."""
    record.require_permitted(signature.algorithm)
    body = hashes.get(signature.body_canonicalization, signature.length)
    if body.unsigned < 0:
        raise SignatureError("fail", f"the body is {-body.unsigned} octets shorter than l=")
    if body.digest != signature.body_hash:
        raise SignatureError("fail", "the body does not match its hash (bh=)")
    if not record.key.verifies(signature.octets, header_hash(block, signature)):
        raise SignatureError("fail", "the header does not match the signature")
    if body.unsigned:
        raise SignatureError("policy", f"the last {body.unsigned} octets of the body are unsigned")


def _reported(signature: Signature, fault: Fault, record: KeyRecord | None = None) -> DkimResult:
    return DkimResult(
        result=fault.result,
        reason=fault.reason,
        domain=signature.domain,
        selector=signature.selector,
        identity=signature.identity,
        algorithm=signature.algorithm,
        bits=record.key.bits if record else 0,
        signature=shown_base64(signature.octets)[:8],
        testing=record.testing if record else False,
    )

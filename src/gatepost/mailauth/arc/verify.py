"""Verify the ARC chain of a message: RFC 8617 section 5.2, steps 4 to 7.

A chain passes if the newest message signature and all seals match. All keys are asked for at the
same time. A seal covers all sets up to its own, so their hash is continued from set to set.

Limits: MOST_SETS sets, RSA keys of MOST_BITS, so that 100 signatures take about 10 ms.
"""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Literal

import msgspec

from gatepost.mailauth.arc.chain import ArcSet, Chain, read_chain
from gatepost.mailauth.arc.seal import Message, Seal
from gatepost.mailauth.dkim.body_hashes import BodyHashes
from gatepost.mailauth.dkim.fault import SignatureError
from gatepost.mailauth.dkim.header_block import HeaderBlock, relaxed_field
from gatepost.mailauth.dkim.key_record import KeyRecord, read_answer
from gatepost.mailauth.dkim.signature import without_signature
from gatepost.mailauth.dkim.verify import ask_keys, fault_at, require_match
from gatepost.net.questions import Answer, Check

MOST_BITS = 4096


class ArcResult(msgspec.Struct, frozen=True):
    """The result of a chain, and a reason for people.

    `oldest_pass` is the lowest instance of which the message signature and all later ones match:
    the message was not changed since. It is 0 if all match, or without a pass. `temporary` is
    whether a later attempt may have another result, because a key could not be looked up.
    """

    result: Literal["none", "pass", "fail"]
    reason: str
    oldest_pass: int = 0
    sets: Sequence[ArcSet] = ()
    temporary: bool = False


def verify_chain(
    header_block: bytes | HeaderBlock | Chain, hashes: BodyHashes, now: float
) -> Check[ArcResult]:
    """Return the result of the chain of a message.

    `hashes` are those of the body for `Chain.signatures`, `now` is a Unix time. Raises LookupError
    if `hashes` lacks a signature.
    """
    chain = header_block if isinstance(header_block, Chain) else read_chain(header_block)
    if chain.fault:
        return ArcResult("fail", chain.fault, sets=chain.sets)
    if not chain.seals:
        return ArcResult("none", "the message has no ARC sets")
    if fault := fault_at(chain.messages[-1].signature, now):
        return ArcResult("fail", f"the newest message signature: {fault.reason}", sets=chain.sets)
    messages = [one for one in chain.messages if fault_at(one.signature, now) is None]
    names = [one.signature.key_name for one in messages]
    keys = yield from ask_keys([*names, *(one.key_name for one in chain.seals)])
    try:
        _require_message(chain, messages[-1], hashes, keys)
        _require_seals(chain, keys)
    except SignatureError as error:
        temporary = error.fault.result == "temperror"
        return ArcResult("fail", str(error), sets=chain.sets, temporary=temporary)
    oldest = _oldest_pass(chain, messages, hashes, keys)
    return ArcResult("pass", "the chain matches", oldest, chain.sets)


def _require_message(
    chain: Chain, message: Message, hashes: BodyHashes, keys: Mapping[str, Answer]
) -> None:
    signature = message.signature
    try:
        require_match(chain.block, signature, hashes, _key(keys[signature.key_name]))
    except SignatureError as error:
        prefix = f"the message signature of set {message.instance}: "
        raise SignatureError.of(error.fault, prefix) from None


def _require_seals(chain: Chain, keys: Mapping[str, Answer]) -> None:
    digests = _seal_digests(chain)
    # The newest first, as RFC 8617 orders them: it costs least to forge.
    for seal, digest in zip(reversed(chain.seals), reversed(digests), strict=True):
        try:
            _require_seal(seal, digest, keys)
        except SignatureError as error:
            prefix = f"the seal of set {seal.instance}: "
            raise SignatureError.of(error.fault, prefix) from None


def _require_seal(seal: Seal, digest: bytes, keys: Mapping[str, Answer]) -> None:
    record = _key(keys[seal.key_name])
    record.require_permitted(seal.algorithm)
    if not record.key.verifies(seal.octets, digest):
        raise SignatureError("fail", "the sets do not match the signature")


def _key(answer: Answer) -> KeyRecord:
    record = read_answer(answer)
    if record.key.bits > MOST_BITS:
        raise SignatureError("policy", f"the RSA key has {record.key.bits} bits, not {MOST_BITS}")
    return record


def _seal_digests(chain: Chain) -> list[bytes]:
    """Return the digest that each seal signs: RFC 8617 section 5.1.1."""
    block, digests, sets = chain.block, list[bytes](), sha256()
    for seal, message, results in zip(chain.seals, chain.messages, chain.results, strict=True):
        for place in (results.place, message.signature.place):
            sets.update(block.canonical(place, "relaxed"))
        signed = sets.copy()
        signed.update(relaxed_field(without_signature(block.fields[seal.place])))
        digests.append(signed.digest())
        sets.update(block.canonical(seal.place, "relaxed"))
    return digests


def _oldest_pass(
    chain: Chain, messages: Sequence[Message], hashes: BodyHashes, keys: Mapping[str, Answer]
) -> int:
    """Return the instance behind the newest message signature that does not match, or 0."""
    valid = {one.instance: one for one in messages}
    for instance in range(len(chain.messages) - 1, 0, -1):
        if instance not in valid:
            return instance + 1
        try:
            _require_message(chain, valid[instance], hashes, keys)
        except SignatureError:
            return instance + 1
    return 0

"""Run the checks of a whole message on the records of a test, without a resolver."""

from collections.abc import Mapping

from gatepost.mailauth.arc import read_chain, verify_chain
from gatepost.mailauth.dkim import BodyHashes, HeaderBlock, read_signatures, verify
from gatepost.net.questions import ABSENT, Answer, found

# A time after all messages of the suites, 2025-09-14.
NOW = 1_757_808_000

FAILED = "SERVFAIL"


def answered(check, records):
    """Return the result of a check; a record is a text, a list of texts, or FAILED."""
    lower = {name.lower(): texts for name, texts in records.items()}
    try:
        questions = next(check)
        while True:
            questions = check.send([answer(lower.get(one.name)) for one in questions])
    except StopIteration as done:
        return done.value


def answer(texts):
    if texts is None:
        return ABSENT
    if texts == FAILED:
        return Answer("failed", (), "the name server failed")
    return found([texts] if isinstance(texts, str) else list(texts))


def split(message: bytes):
    """Return the header block with its empty line, and the body."""
    if message.startswith(b"\r\n"):
        return b"", message[2:]
    head, end, body = message.partition(b"\r\n\r\n")
    return head + (end or b"\r\n"), body


def dkim(message: bytes, records: Mapping, now=NOW, prefer=()):
    """Return the results of DKIM."""
    head, body = split(message)
    block = HeaderBlock(head)
    signatures = read_signatures(block, prefer)
    hashes = BodyHashes(signatures)
    hashes.update(body)
    hashes.finish()
    return answered(verify(block, signatures, hashes, now), records)


def arc(message: bytes, records: Mapping, now=NOW):
    """Return the result of ARC."""
    head, body = split(message)
    chain = read_chain(head)
    hashes = BodyHashes(chain.signatures)
    hashes.update(body)
    return answered(verify_chain(chain, hashes, now), records)


def crlf(text: bytes | str) -> bytes:
    """Return a text with CRLF as its line ends, whatever it has."""
    octets = text.encode() if isinstance(text, str) else text
    return octets.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")

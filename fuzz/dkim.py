"""Any octets have results of DKIM and ARC, none of them "pass" without a valid signature.

Any text is a tag list or a `TagError`, and a key record or a fault.
"""

import sys
from contextlib import suppress

from fuzz.engine import Target, run
from gatepost.mailauth.arc import read_chain, verify_chain
from gatepost.mailauth.dkim import BodyHashes, HeaderBlock, read_signatures, verify
from gatepost.mailauth.dkim.key_record import parse_record
from gatepost.mailauth.dkim.tags import TagError, parse_tags
from gatepost.net.questions import Answer, Check, T, found

TOKENS = [
    *(b"DKIM-Signature:", b"ARC-Seal:", b"ARC-Message-Signature:", b"ARC-Authentication-Results:"),
    *(b"v=1;", b"a=rsa-sha256;", b"b=AAAA;", b"bh=AAAA;", b"d=example.com;", b"h=from;", b"i=1;"),
    *(b"l=", b"t=", b"x=", b"cv=none;", b"s=s1;", b"c=relaxed;", b"q=dns/txt;", b"p=", b"k=rsa;"),
    *(b"\r\n", b"\r\n\r\n", b"\r\n ", b"\t", b" ", b"\0", b"\xff", b"\xc3\xa9", b"=0D=0A", b"@"),
]
SEEDS = [
    (
        b"DKIM-Signature: v=1; a=rsa-sha256; d=example.com; s=s1; h=from; bh=AAAA; b=AAAA\r\n"
        b"From: a@example.com\r\n\r\nbody\r\n"
    ),
    (
        b"ARC-Seal: i=1; a=rsa-sha256; cv=none; d=example.com; s=s1; b=AAAA\r\n"
        b"ARC-Message-Signature: i=1; a=rsa-sha256; d=example.com; s=s1; h=from;\r\n"
        b" bh=AAAA; b=AAAA\r\n"
        b"ARC-Authentication-Results: i=1; mx; spf=pass\r\nFrom: a@example.com\r\n\r\nb\r\n"
    ),
    b"v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=; t=y:s",
]
KEY = "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="


def check(data: bytes) -> None:
    """Raise if the invariant does not hold."""
    text = data.decode("utf-8", "replace")
    parse_record(text)
    with suppress(TagError):
        parse_tags(text)
    head, _, body = data.partition(b"\r\n\r\n")
    block = HeaderBlock(head)
    signatures, chain = read_signatures(block), read_chain(block)
    hashes = BodyHashes([*signatures, *chain.signatures])
    for at in range(0, len(body), 7):
        hashes.update(body[at : at + 7])
    for answer in (found([KEY]), found([text]), Answer("failed", (), "no answer")):
        results = _result(verify(block, signatures, hashes, 0), answer)
        assert all(one.result != "pass" and one.reason for one in results)
        assert _result(verify_chain(chain, hashes, 0), answer).result != "pass"


def _result(check: Check[T], answer: Answer) -> T:
    """Return the result of a check with one answer for all questions."""
    try:
        questions = next(check)
        while True:
            questions = check.send([answer] * len(questions))
    except StopIteration as done:
        value: T = done.value
        return value


if __name__ == "__main__":
    sys.exit(run(Target(check, SEEDS, TOKENS)))

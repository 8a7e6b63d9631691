"""Generated messages: what others sign verifies here, and what is signed here verifies there."""

from itertools import islice, product

import pytest
from tests.mailauth import oracles
from tests.mailauth.checks import NOW, dkim
from tests.mailauth.keys import for_dkimpy, pem, private_key
from tests.mailauth.messages import made

from gatepost.mailauth.dkim import BodyHashes, sign

FORMS = ("relaxed", "simple")
# Each oracle is started once for all its messages.
COUNTS = [pytest.param(40, id="40"), pytest.param(1000, id="1000", marks=pytest.mark.slow)]
VARIANTS = {
    "dkimpy": list(product(("rsa", "ed25519"), FORMS, FORMS)),
    # The packaged version has no Ed25519.
    "mail-dkim": list(product(("rsa",), FORMS, FORMS)),
}


# Bodies without a final CRLF, which SMTP cannot deliver: the oracle, the form of the body, the
# octets at its end, and the rule that the oracle does not follow.
DEVIATIONS = [
    # RFC 6376 section 3.4.4 a: "Ignore all whitespace at the end of lines", the last one included.
    ("dkimpy", "relaxed", (b" ", b"\t")),
    # Section 3.4.3: "If there is no body or no trailing CRLF on the message body, a CRLF is added."
    ("mail-dkim", "simple", tuple(bytes([one]) for one in range(256) if one != ord("\n"))),
]


def deviates(oracle, form, body):
    return any(
        (oracle, form) == (other, body_form) and body.endswith(ends)
        for other, body_form, ends in DEVIATIONS
    )


def key_text(oracle, kind):
    return for_dkimpy(kind) if oracle == "dkimpy" else pem(kind)


def variants(oracle, count):
    """Yield generated messages with a type of key and two canonical forms each."""
    endless = (one for _ in iter(int, 1) for one in VARIANTS[oracle])
    for number, variant in enumerate(islice(endless, count)):
        yield made(number), *variant


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("oracle", VARIANTS)
def test_what_others_sign_passes(oracle, count):
    cases = list(variants(oracle, count))
    fields = oracles.ask(
        oracle,
        [
            oracles.signing(message, key_text(oracle, kind), f"{kind}-sha256", header, body)
            for message, kind, header, body in cases
        ],
    )
    for number, ((message, kind, *forms), field) in enumerate(zip(cases, fields, strict=True)):
        signed = field.encode() + message.octets
        records = {message.record_name: private_key(kind).record}
        results = dkim(signed, records, now=NOW + 10**9)
        differs = deviates(oracle, forms[1], message.body)
        expected = "the body does not match its hash (bh=)" if differs else "the signature matches"
        assert [one.reason for one in results] == [expected], (number, forms, results)


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("oracle", VARIANTS)
def test_what_is_signed_here_passes_elsewhere(oracle, count):
    kinds = sorted({kind for kind, *_ in VARIANTS[oracle]})
    jobs = []
    for number in range(count):
        message, kind = made(number), kinds[number % len(kinds)]
        octets = signed(message, private_key(kind))
        jobs.append(oracles.verifying(octets, {message.record_name: private_key(kind).record}))
    for number, answer in enumerate(oracles.ask(oracle, jobs)):
        differs = deviates(oracle, "relaxed", made(number).body)
        assert answer.startswith("fail: body" if differs else "pass"), (number, answer)


def signed(message, key):
    hashes = BodyHashes(signing=True)
    hashes.update(message.body)
    field = sign(
        message.head,
        hashes.for_signing,
        domain=message.domain,
        selector=message.selector,
        key=key,
        now=NOW,
    )
    return field + message.octets

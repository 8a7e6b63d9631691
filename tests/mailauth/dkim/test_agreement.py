"""Every verifier gives the same verdict, on messages as they were signed and with a changed octet.

The messages are signed here, by dkimpy, Mail::DKIM, OpenDKIM and Exim, and have the form in which
SMTP delivers them. Verifiers are this package, dkimpy, Mail::DKIM and mailauth (npm).
"""

import asyncio
import json
import re
import smtplib
from collections.abc import Callable
from itertools import product
from random import Random
from typing import NamedTuple

import pytest
from tests.delivery.smtp.peer import Peer
from tests.mailauth import oracles
from tests.mailauth.checks import NOW, dkim
from tests.mailauth.dkim.test_opendkim import FIELD, SIGNING, messages
from tests.mailauth.dkim.test_oracles import FORMS, key_text, signed
from tests.mailauth.keys import pem, private_key
from tests.mailauth.messages import made
from tests.waiting import until
from tools import exim

COUNTS = [pytest.param(30, id="30"), pytest.param(400, id="400", marks=pytest.mark.slow)]
VERIFIERS = ("dkimpy", "mail-dkim", "mailauth")
LATER = NOW + 10**9  # other signers use the time of the clock
PLACES = ("signature", "header", "body")
# Octets that a changed one becomes. A bare CR or LF and NUL cannot arrive by SMTP.
OTHERS = b"aZ09=;:,!./+-_@<\t \x01\x7f\xc3\xff"
OWN_NAME = "s1._domainkey.example.com"  # the key of signers that have only one


class Case(NamedTuple):
    """A message with one signature: `place` is where an octet was changed, "" if none was."""

    name: str
    octets: bytes
    records: dict[str, str]
    place: str = ""

    def verdict(self):
        results = dkim(self.octets, self.records, now=LATER)
        if any(one.result == "pass" for one in results):
            return "pass"
        return "fail: " + "; ".join(one.reason for one in results)


# Messages by signer


def here(count):
    for number, kind in numbered(count, ("rsa", "ed25519")):
        key = private_key(kind)
        yield case("gatepost", number, made(number), signed(made(number), key), kind)


def oracle(name, kinds):
    """Return a signer that is one of the oracles."""

    def sign(count):
        cases = list(numbered(count, product(kinds, FORMS, FORMS)))
        jobs = [
            oracles.signing(made(number), key_text(name, kind), f"{kind}-sha256", *forms)
            for number, (kind, *forms) in cases
        ]
        for (number, (kind, *_)), field in zip(cases, oracles.ask(name, jobs), strict=True):
            yield case(name, number, made(number), field.encode() + made(number).octets, kind)

    return sign


def numbered(count, variants):
    """Return the numbers of messages, each with one of some variants."""
    some = list(variants)
    return ((number, some[at % len(some)]) for at, number in enumerate(messages(count)))


def case(signer, number, message, octets, kind):
    return Case(f"{signer} {number}", octets, {message.record_name: private_key(kind).record})


SIGNERS: dict[str, Callable] = {
    "gatepost": here,
    "dkimpy": oracle("dkimpy", ("rsa", "ed25519")),
    "mail-dkim": oracle("mail-dkim", ("rsa",)),
}


def own(signer, octets):
    records = {OWN_NAME: private_key("rsa").record}
    return [Case(f"{signer} {number}", one, records) for number, one in octets.items()]


# Changes


def changed(original, dice):
    """Return a case with one octet changed, in the signature, the other fields or the body."""
    octets = original.octets
    head = octets.index(b"\r\n\r\n") + 2
    start = re.search(rb"^DKIM-Signature:", octets, re.MULTILINE | re.IGNORECASE).start()
    end = re.compile(rb"\r\n(?![ \t])").search(octets, start).end()
    where = {
        "signature": range(start, end),
        "header": [*range(start), *range(end, head)],
        "body": range(head + 2, len(octets)),
    }
    place = dice.choice(PLACES)
    found = [at for at in where[place] if octets[at] not in b"\r\n"]
    if not found:
        return changed(original, dice)
    at = dice.choice(found)
    other = dice.choice([one for one in OTHERS if one != octets[at]])
    return original._replace(
        name=f"{original.name}, {place} at {at}: {other:#x}",
        octets=octets[:at] + bytes([other]) + octets[at + 1 :],
        place=place,
    )


# Differences


class Deviation(NamedTuple):
    """Verifiers with another verdict: a part of the reason of the verdict "fail", and when."""

    verifiers: tuple[str, ...]
    failing: str  # "here" or "there"
    reason: str
    applies: Callable[[Case], bool]


def has_broken_line(case):
    """Return whether a line of the header block is neither a field nor a continuation."""
    lines = case.octets.partition(b"\r\n\r\n")[0].split(b"\r\n")
    return not all(re.match(rb"[ \t]|[!-9;-~]+:", line) for line in lines)


def has_changed_signature(case):
    return case.place == "signature"


def has_underscore(case):
    return any("_" in name.partition("._domainkey")[0] for name in case.records)


DEVIATIONS = [
    # RFC 6376 section 3.1: selector = sub-domain *( "." sub-domain ), so "_" is not permitted.
    # Names with "_" are common in the DNS, and such selectors are in use.
    Deviation(("mailauth",), "there", "signature syntax error", has_underscore),
    # Section 2.10: base64string = ALPHADIGITPS *([FWS] ALPHADIGITPS) [ [FWS] "=" [ [FWS] "=" ] ].
    # The others skip what is not base64, and what follows the padding.
    Deviation(VERIFIERS, "here", "b= is not base64", has_changed_signature),
    Deviation(VERIFIERS, "here", "the signature is not UTF-8", has_changed_signature),
    # RFC 5322 section 2.2: the name of a field has printable ASCII characters, and a colon follows.
    # Section 2.2.3: a continuation starts with white space. A line that is neither is a field here
    # that h= cannot name. dkimpy refuses the message; mailauth joins it to the field before.
    Deviation(("dkimpy",), "there", "Unexpected characters in RFC822 header", has_broken_line),
    Deviation(("mailauth",), "there", "", has_broken_line),
    Deviation(("mailauth",), "here", "", has_broken_line),
]


def is_explained(verifier, case, ours, theirs):
    failing = "there" if ours == "pass" else "here"
    reason = theirs if ours == "pass" else ours
    return any(
        verifier in one.verifiers
        and failing == one.failing
        and one.reason in reason
        and one.applies(case)
        for one in DEVIATIONS
    )


def differences(cases):
    """Yield the verdicts that differ without an explanation."""
    ours = [one.verdict() for one in cases]
    for verifier in VERIFIERS:
        known = [(one, verdict) for one, verdict in zip(cases, ours, strict=True)]
        if verifier == "mail-dkim":  # the packaged version has no Ed25519
            known = [(one, verdict) for one, verdict in known if b"ed25519" not in one.octets]
        jobs = [oracles.verifying(one.octets, one.records) for one, _ in known]
        for (one, verdict), theirs in zip(known, oracles.ask(verifier, jobs), strict=True):
            same = verdict.startswith("pass") == theirs.startswith("pass")
            if not same and not is_explained(verifier, one, verdict, theirs):
                yield verifier, one.name, verdict, theirs


def check(cases, seed):
    """Check that all verifiers agree on messages, and on each with a changed octet."""
    assert cases
    assert [one.name for one in cases if one.verdict() != "pass"] == []
    dice = Random(seed)
    assert list(differences([*cases, *(changed(one, dice) for one in cases)])) == []


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("signer", SIGNERS)
def test_verifiers_agree(signer, count):
    check(list(SIGNERS[signer](count)), count)


@pytest.mark.parametrize("count", COUNTS)
def test_verifiers_agree_about_opendkim(opendkim, tmp_path, count):
    (tmp_path / "domains").write_text("* key\n")
    (tmp_path / "keys").write_text(f"key example.com:s1:{tmp_path}/private\n")
    (tmp_path / "private").write_text(pem("rsa"))
    octets = {number: one.octets for number, one in messages(count).items()}
    output = opendkim(SIGNING.format(folder=tmp_path, body="relaxed"), octets)
    fields = [f"DKIM-Signature: {one}\n".replace("\n", "\r\n") for one in FIELD.findall(output)]
    signed = zip(octets.items(), fields, strict=True)
    check(own("opendkim", {n: field.encode() + one for (n, one), field in signed}), count)


EXIM = """\
  port = {port}
  dkim_domain = example.com
  dkim_selector = s1
  dkim_canon = {form}
  dkim_sign_headers = +From:=Subject:=Received:+To:=X-Absent
  dkim_private_key = {key}
"""


async def sent_by_exim(contents, form):
    """Return messages as Exim relays them, with its signature."""
    async with Peer() as peer:
        # Exim 4.96 crashes with a literal key, which it tries to change in place.
        key = json.dumps(f"${{if bool{{true}}{{{pem('rsa')}}}}}")
        hop = EXIM.format(port=peer.hop.port, form=form, key=key)
        with exim.running(next_hop=hop) as mail:
            await asyncio.to_thread(send, mail.port, contents)
            async with asyncio.timeout(60):
                await until(lambda: len(peer.messages) == len(contents))
    return dict(enumerate(map(unstuffed, peer.messages)))


def send(port, contents):
    with smtplib.SMTP("127.0.0.1", port) as client:
        for content in contents:
            client.sendmail("a@example.net", ["b@example.com"], content)


def unstuffed(octets):
    return octets.removesuffix(b".\r\n").replace(b"\r\n.", b"\r\n")


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_verifiers_agree_about_exim(form):
    if reason := exim.why_not():
        pytest.skip(reason)
    # RFC 6376 section 3.4.3: "canonicalizes to a single CRLF". Exim hashes no octet of a body that
    # has only empty lines, so no verifier accepts its signature in the simple form.
    some = [one for one in messages(100).values() if form == "relaxed" or one.body.strip(b"\r\n")]
    contents = [one.octets for one in some]
    check(own("exim", asyncio.run(sent_by_exim(contents, form))), seed=1)

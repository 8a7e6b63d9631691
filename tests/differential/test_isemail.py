"""The addresses of is_email 3.05, by Dominic Sayers and Michael Rushton.

`isemail/tests.xml` is unmodified, under the BSD 3-Clause licence in `isemail/LICENSE.txt`. Its
verdicts follow RFC 5321 and RFC 5322. An address is for SMTP if the suite finds it valid for the
envelope, with or without a warning. The server must accept it in MAIL and RCPT, and refuse every
other one.
"""

import re
from functools import cache
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from tests.wire.driver import HELLO, play

from gatepost.wire import events as e
from gatepost.wire.smtp.syntax.path import LENIENT, strict_paths

FILE = Path(__file__).parent / "isemail" / "tests.xml"
# Categories of the suite that are valid in an envelope. DNSWARN is about records, not about syntax.
VALID = {"ISEMAIL_VALID_CATEGORY", "ISEMAIL_DNSWARN", "ISEMAIL_RFC5321"}
# The suite writes a control character as U+2400 and its code.
PICTURE = re.compile("[\u2400-\u241f]")

LONG = (
    "The limits of RFC 5321 are minimums. Bounce addresses contain other addresses and exceed them."
)
# Tests with another verdict, with the reason.
DIFFERENT = {
    "26": LONG,
    "39": LONG,
    "40": LONG,
    "59": LONG,
    "60": LONG,
}
# Tests with another verdict unless `smtp.strict_paths` is set.
LENIENT_ONLY = {
    "15": "A dot in front of a local part is in use.",
    "16": "A dot at the end of a local part is in use.",
    "35": "A dot at the end of a domain is dropped.",
    "71": "RFC 4291 allows :: for a single group, RFC 5321 for two or more only.",
}
PATHS = {"default": (LENIENT, DIFFERENT | LENIENT_ONLY), "strict": (strict_paths(), DIFFERENT)}


@cache
def entries():
    return ET.parse(FILE).getroot().findall("test")


def address(test):
    text = test.findtext("address") or ""
    return PICTURE.sub(lambda found: chr(ord(found[0]) - 0x2400), text)


def cases():
    return [
        pytest.param(
            address(test),
            (test.findtext("category") in VALID) is not (test.get("id") in different),
            paths,
            id=f"{name}, {test.get('id')}: {test.findtext('diagnosis')}",
        )
        for name, (paths, different) in PATHS.items()
        for test in entries()
        if address(test)  # the null path is valid in MAIL
    ]


@pytest.mark.parametrize(("text", "valid", "paths"), cases())
def test_addresses_for_smtp_are_accepted_and_others_refused(text, valid, paths):
    mail = HELLO + f"MAIL FROM:<{text}>\r\n".encode()
    rcpt = HELLO + f"MAIL FROM:<a@b>\r\nRCPT TO:<{text}>\r\n".encode()
    assert bool(play(mail, paths=paths).of(e.Mail)) is valid
    assert bool(play(rcpt, paths=paths).of(e.Rcpt)) is valid


def test_the_suite_is_complete():
    assert len(entries()) == 164


def test_every_difference_has_a_test():
    assert (DIFFERENT | LENIENT_ONLY).keys() <= {test.get("id") for test in entries()}

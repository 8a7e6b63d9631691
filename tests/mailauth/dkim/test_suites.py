"""Messages that other projects test with: mail-auth of Stalwart, rspamd, dkimpy.

Where a result differs from that of the project, a row states the reason.
"""

import json
from pathlib import Path

import pytest
from tests.mailauth.checks import NOW, arc, crlf, dkim, split

from gatepost.mailauth.dkim import BodyHashes, load_private_key, sign

SUITES = Path(__file__).parents[2] / "suites"

# mail-auth: a file has DNS records, an empty line and a message. All its messages pass there.
STALWART = SUITES / "mail-auth-stalwart"
# Its tests verify in the year of the message.
IN_TIME = {"dkim/005.txt": 1667843664}
STALWART_RESULTS = {
    "dkim/001.txt": ["pass", "pass"],
    "dkim/002.txt": ["pass"],
    "dkim/003.txt": ["pass", "pass"],
    "dkim/004.txt": ["pass"],
    "dkim/005.txt": ["pass"],
    "dkim/006.txt": ["pass"],
    # The list added a footer, so the body hash of the author's signature cannot match.
    "arc/001.txt": ["pass", "pass", "fail"],
    "arc/002.txt": ["pass"],
}


def stalwart(name):
    octets = (STALWART / name).read_bytes()
    records, _, message = octets.partition(b"\n\n")
    return crlf(message), dict(line.split(" ", 1) for line in records.decode().splitlines())


@pytest.mark.parametrize("name", STALWART_RESULTS)
def test_the_messages_of_mail_auth_have_these_results(name):
    results = dkim(*stalwart(name), now=IN_TIME.get(name, NOW))
    assert [one.result for one in results] == STALWART_RESULTS[name], results


@pytest.mark.parametrize(("name", "count"), [("arc/001.txt", 1), ("arc/002.txt", 2)])
def test_the_chains_of_mail_auth_pass(name, count):
    found = arc(*stalwart(name))
    assert (found.result, len(found.sets)) == ("pass", count), found.reason


RSPAMD = SUITES / "rspamd-messages"
ROWS = [line.split("\t") for line in (RSPAMD / "expected.tsv").read_text().splitlines()[1:]]
SYMBOLS = {
    "R_DKIM_ALLOW": {"pass"},
    "R_DKIM_REJECT": {"fail"},
    # rspamd has one symbol for what RFC 8601 section 2.7.1 divides into three results.
    "R_DKIM_PERMFAIL": {"permerror", "neutral", "policy"},
    "R_DKIM_TEMPFAIL": {"temperror"},
    "R_DKIM_NA": set(),
    "!R_DKIM_ALLOW": {"permerror", "neutral", "policy"},
    "ARC_ALLOW": {"pass"},
    "ARC_INVALID": {"fail"},
}
# The key records of these messages are not in the configuration that the suite has, so the result
# is "permerror" or "fail": RFC 6376 section 6.1.2, step 3, "if the query ... fails because the
# corresponding key record does not exist".
WITHOUT_KEY = {
    "dmarc/dkim_unknown_tags.eml": {"permerror"},
    "dkim_sigs_at_limit.eml": {"permerror", "neutral"},
    "dkim_key_wide_ok.eml": {"permerror"},
    "arcallow.eml": {"fail"},
}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[1])
def test_the_messages_of_rspamd_have_its_results(row):
    kind, _, name, *_, symbol = row
    message = crlf((RSPAMD / "messages" / name).read_bytes())
    keys = json.loads((RSPAMD / "keys.json").read_text())
    if kind == "116_dkim":
        found = {one.result for one in dkim(message, keys)}
    else:
        found = {arc(message, keys).result}
    expected = WITHOUT_KEY.get(name, SYMBOLS[symbol])
    assert found == expected if len(expected) < 2 or name in WITHOUT_KEY else found <= expected


DKIMPY = SUITES / "dkim-dkimpy"


def text(name):
    return (DKIMPY / name).read_text().strip()


def test_the_signed_message_of_dkimpy_passes():
    message = crlf((DKIMPY / "rfc6376.signed.msg").read_bytes())
    records = {
        "brisbane._domainkey.football.example.com": (
            "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
        ),
        "test._domainkey.football.example.com": text("test.txt"),
    }
    assert [one.result for one in dkim(message, records)] == ["pass", "pass"]


def test_the_message_of_exim_in_dkimpy_passes():
    message = crlf((DKIMPY / "ed25519test2.msg").read_bytes())
    (found,) = dkim(message, {"sed._domainkey.test.ex": text("eximtest.dns")})
    assert found.result == "pass", found.reason


def test_degenerate_folding_is_read():
    message = crlf((DKIMPY / "test2.message").read_bytes())
    (found,) = dkim(message, {})
    assert (found.domain, found.reason) == ("gmail.com", "there is no key in the DNS")


@pytest.mark.parametrize(
    ("record", "word"),
    [
        ("test.txt", "pass"),
        ("test2.txt", "pass"),
        ("badk.txt", "permerror"),
        ("badversion.txt", "permerror"),
        ("test_bad.txt", "permerror"),
        ("test_tlsrpt.txt", "permerror"),
    ],
)
@pytest.mark.parametrize("name", ["test.message", "test_extra.message", "rfc6376.msg"])
def test_the_key_records_of_dkimpy_have_its_results(name, record, word):
    message = crlf((DKIMPY / name).read_bytes())
    head, body = split(message)
    hashes = BodyHashes(signing=True)
    hashes.update(body)
    key = load_private_key((DKIMPY / "test.private").read_bytes())
    options = {"domain": "example.com", "selector": "test", "now": NOW}
    field = sign(head, hashes.for_signing, key=key, **options)
    (found,) = dkim(field + message, {"test._domainkey.example.com": text(record)})
    assert found.result == word, found.reason

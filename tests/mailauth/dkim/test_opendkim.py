"""Signatures of OpenDKIM verify here, and signatures made here verify with OpenDKIM.

It reads the generated messages from files (`opendkim -t`), so no milter is needed. The white space
in front of values is lost there, so it cannot sign headers in the simple form.
"""

import re

import pytest
from tests.mailauth.checks import NOW, dkim
from tests.mailauth.dkim.test_oracles import COUNTS, FORMS, signed
from tests.mailauth.keys import pem, private_key
from tests.mailauth.messages import made

KEY = "rsa"
FIELD = re.compile(r"hname='DKIM-Signature' hvalue='([^']*)'")
VERDICT = re.compile(r"^opendkim: (\d+): .*verification.* (succeeded|failed)", re.MULTILINE)
SIGNING = """
Mode s
SigningTable refile:{folder}/domains
KeyTable {folder}/keys
RequireSafeKeys no
Canonicalization relaxed/{body}
OversignHeaders From,Subject,X-Absent
Syslog no
"""
VERIFYING = """
Mode v
TestPublicKeys {folder}/records
Syslog no
"""


def messages(count):
    """Return generated messages as SMTP delivers them: the body is empty or ends with CRLF."""
    some = (made(number) for number in range(count))
    return {
        number: one for number, one in enumerate(some) if not one.body or one.body.endswith(b"\r\n")
    }


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("body", FORMS)
def test_what_opendkim_signs_passes(opendkim, tmp_path, body, count):
    (tmp_path / "domains").write_text("* key\n")
    (tmp_path / "keys").write_text(f"key example.com:s1:{tmp_path}/private\n")
    (tmp_path / "private").write_text(pem(KEY))
    cases = messages(count // 2)
    octets = {number: one.octets for number, one in cases.items()}
    output = opendkim(SIGNING.format(folder=tmp_path, body=body), octets)
    values = FIELD.findall(output)
    assert len(values) == len(cases)
    records = {"s1._domainkey.example.com": private_key(KEY).record}
    for (number, message), value in zip(octets.items(), values, strict=True):
        field = f"DKIM-Signature: {value}\n".replace("\n", "\r\n").encode()
        (found,) = dkim(field + message, records, now=NOW + 10**9)
        assert found.result == "pass", (number, found)


@pytest.mark.parametrize("count", COUNTS)
def test_what_is_signed_here_passes_with_opendkim(opendkim, tmp_path, count):
    cases = messages(count)
    key = private_key(KEY)
    names = {one.record_name for one in cases.values()}
    (tmp_path / "records").write_text("".join(f"{name} {key.record}\n" for name in names))
    octets = {number: signed(one, key) for number, one in cases.items()}
    output = opendkim(VERIFYING.format(folder=tmp_path), octets)
    assert VERDICT.findall(output) == [(str(number), "succeeded") for number in cases]

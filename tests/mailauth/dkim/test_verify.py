"""The signatures that pass, and those that never do: RFC 6376, RFC 8301, RFC 8463, RFC 8616."""

import pytest
from tests.mailauth.checks import FAILED, NOW, dkim
from tests.mailauth.keys import private_key
from tests.mailauth.reference import signed

KEY = private_key("rsa")
ED25519 = private_key("ed25519")
MESSAGE = (
    b"From: Joe <joe@example.com>\r\nSubject: Is dinner ready?\r\nTo: a@example.net\r\n\r\n"
    b"Hi.\r\n\r\nWe lost the game.\r\n"
)
NAME = "s1._domainkey.example.com"
RECORDS = {NAME: KEY.record}


def result(message, records=None, now=NOW):
    (found,) = dkim(message, RECORDS if records is None else records, now)
    return found


@pytest.mark.parametrize("key", [KEY, ED25519], ids=lambda key: key.key_type)
@pytest.mark.parametrize("form", ["simple/simple", "simple/relaxed", "relaxed", "relaxed/simple"])
def test_a_signature_passes(key, form):
    found = result(signed(MESSAGE, key, c=form), {NAME: key.record})
    assert (found.result, found.reason) == ("pass", "the signature matches")
    assert (found.domain, found.selector, found.identity) == ("example.com", "s1", "@example.com")
    assert (found.algorithm, found.bits) == (key.algorithm, key.bits)
    assert len(found.signature) == 8
    assert not found.testing


def test_the_default_form_is_simple():
    assert result(signed(MESSAGE, KEY, c=None)).result == "pass"


PASSING = {
    "an identity in a subdomain": {"i": "joe@mail.example.com"},
    "an encoded identity": {"i": "j=6Fe=40x@example.com"},
    "a partial body that is whole": {"l": len(MESSAGE.partition(b"\r\n\r\n")[2])},
    "an expiry in the future": {"t": NOW - 10, "x": NOW + 10},
    "a clock that is a little fast": {"t": NOW + 200},
    "an unknown tag": {"zz": "any; x="[:3]},
    "a list of queries": {"q": "x/y : dns/txt"},
    "a field that is absent": {"h": "from:x-absent:subject:x-absent"},
    "names in capitals with white space": {"h": "FROM : Subject"},
    "a number of zeros": {"t": "000000000001"},
}


@pytest.mark.parametrize("name", PASSING)
def test_these_tags_pass(name):
    found = result(signed(MESSAGE, KEY, **PASSING[name]))
    assert found.result == "pass", found.reason


REFUSED = [
    # The tags, the result and a part of the reason.
    ({"a": "rsa-sha1"}, "permerror", "rsa-sha1 is not accepted"),
    ({"a": "rsa-sha512"}, "neutral", "not supported"),
    ({"a": "RSA-SHA256"}, "neutral", "not supported"),
    ({"a": "ed25519-sha256"}, "permerror", "the key is for rsa"),
    ({"h": "subject"}, "permerror", "From is not signed"),
    ({"h": ""}, "permerror", "From is not signed"),
    ({"h": "from:sub ject:\x80"}, "neutral", "field names"),
    ({"h": "from" + ":x" * 1000}, "policy", "more than 1000 names"),
    ({"x": NOW - 301}, "policy", "expired"),
    ({"t": NOW + 301}, "policy", "future"),
    ({"t": 10, "x": 10}, "permerror", "before it was made"),
    ({"t": "1.5"}, "neutral", "t= is not a number"),
    ({"t": ""}, "neutral", "t= is not a number"),
    ({"x": "1" * 13}, "neutral", "x= is not a number"),
    ({"l": "-1"}, "neutral", "l= is not a number"),
    ({"l": 0}, "policy", "octets of the body are unsigned"),
    ({"l": 5}, "policy", "octets of the body are unsigned"),
    ({"l": 9999}, "fail", "shorter than l="),
    ({"l": "9" * 76}, "fail", "shorter than l="),
    ({"i": "@example.org"}, "permerror", "not within"),
    ({"i": "@notexample.com"}, "permerror", "not within"),
    ({"i": "joe"}, "neutral", "not an identity"),
    ({"i": "joe=0D=0Ax@example.com"}, "neutral", "not an identity"),
    ({"v": None}, "neutral", "v= is missing"),
    ({"v": "2"}, "neutral", "version"),
    ({"d": None}, "neutral", "d= is missing"),
    ({"d": "com"}, "neutral", "two labels"),
    ({"d": "example..com"}, "neutral", "not a domain name"),
    ({"d": "example.com."}, "neutral", "not a domain name"),
    ({"d": "a" * 64 + ".com"}, "neutral", "not a domain name"),
    ({"s": ""}, "neutral", "s= is empty"),
    ({"s": "a b"}, "neutral", "not a domain name"),
    ({"s": ".".join(["a" * 60] * 4)}, "permerror", "longer than 253"),
    ({"c": "nowsp"}, "neutral", "c= value"),
    ({"c": "relaxed/"}, "neutral", "c= value"),
    ({"q": "http"}, "neutral", "q= value"),
    ({"bh": "!!!"}, "neutral", "bh= is not base64"),
    ({"bh": "AAAA"}, "fail", "the body does not match"),
    ({"b": "AAAA"}, "fail", "the header does not match"),
    ({"b": "AAA"}, "neutral", "b= is not base64"),
    ({"b": ""}, "neutral", "b= is empty"),
    ({"bad-name": "1"}, "neutral", "malformed"),
    ({"z": "\x01"}, "neutral", "malformed"),
    ({"z": "x" * 33_000}, "policy", "more than 32768 octets"),
    ({f"z{n}": "" for n in range(64)}, "neutral", "more than 64 tags"),
]


@pytest.mark.parametrize(("tags", "word", "reason"), REFUSED, ids=lambda value: str(value)[:40])
def test_these_tags_never_pass(tags, word, reason):
    found = result(signed(MESSAGE, KEY, **tags))
    assert (found.result, reason in found.reason) == (word, True), found.reason


def test_a_tag_that_occurs_twice_is_refused():
    message = signed(MESSAGE, KEY).replace(b"; s=s1", b"; s=s1; s=s1", 1)
    assert "occurs twice" in result(message).reason


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (b"We lost", b"We won", "the body does not match its hash (bh=)"),
        (b"dinner", b"supper", "the header does not match the signature"),
        # The signature names one From; the lower one is taken.
        (b"To: a@", b"From: eve@example.org\r\nTo: a@", "the header does not match the signature"),
    ],
)
def test_a_changed_message_fails(old, new, reason):
    found = result(signed(MESSAGE, KEY).replace(old, new))
    assert (found.result, found.reason) == ("fail", reason)


def test_an_unsigned_field_can_change():
    assert result(signed(MESSAGE, KEY).replace(b"a@example.net", b"b@example.net")).result == "pass"


def test_an_oversigned_field_cannot_be_added():
    message = signed(MESSAGE, KEY, h="from:subject:from")
    assert result(message).result == "pass"
    assert result(b"From: eve@example.org\r\n" + message).result == "fail"


def test_several_fields_of_a_name_are_counted_from_the_bottom():
    twice = b"From: first@example.com\r\n" + MESSAGE
    once, both = signed(twice, KEY, h="from"), signed(twice, KEY, h="from:from")
    assert result(once.replace(b"first", b"other")).result == "pass"
    assert result(once.replace(b"joe@", b"eve@")).result == "fail"
    assert result(both).result == "pass"
    assert result(both.replace(b"first", b"other")).result == "fail"


@pytest.mark.parametrize("form", ["relaxed", "simple"])
def test_a_field_with_white_space_in_front_of_its_colon_is_signed(form):
    message = signed(MESSAGE.replace(b"Subject:", b"Subject \t:"), KEY, c=form)
    assert result(message).result == "pass"
    assert result(message.replace(b"dinner", b"supper")).result == "fail"


def test_other_signatures_can_be_signed():
    once = signed(MESSAGE, KEY)
    twice = signed(once, KEY, s="s2", h="from:dkim-signature:dkim-signature")
    records = RECORDS | {"s2._domainkey.example.com": KEY.record}
    assert [one.result for one in dkim(twice, records)] == ["pass", "pass"]
    changed = [one.result for one in dkim(twice.replace(b"; s=s1", b";  s=s2"), records)]
    assert changed == ["fail", "fail"]


KEYS = [
    # The record, the result and a part of the reason.
    (None, "permerror", "no key in the DNS"),
    ([], "permerror", "no key in the DNS"),
    (FAILED, "temperror", "cannot be looked up"),
    ("v=DKIM1; p=", "permerror", "revoked"),
    ("v=DKIM1; k=rsa", "permerror", "no p="),
    ("v=DKIM2; p=AAAA", "permerror", "does not start with v=DKIM1"),
    ("p=AAAA; v=DKIM1", "permerror", "does not start with v=DKIM1"),
    ("v=DKIM1; p=AAAA", "permerror", "no rsa key"),
    ("v=DKIM1; p=A", "permerror", "is not base64"),
    ("v=DKIM1; k=dsa; p=AAAA", "permerror", "not supported"),
    ("v=DKIM1; k=ed25519; p=AAAA", "permerror", "no ed25519 key"),
    ("v=DKIM1; h=sha1; p=", "permerror", "revoked"),
    ("junk", "permerror", "malformed"),
    ("v=DKIM1; p=A; p=A", "permerror", "occurs twice"),
    ("v=DKIM1; n=" + "x" * 5000, "permerror", "more than 4096 characters"),
    (ED25519.record, "permerror", "the key is for ed25519"),
    (KEY.record + "; h=sha1", "permerror", "does not permit sha256"),
    (KEY.record + "; s=tlsrpt", "permerror", "not for mail"),
    ([KEY.record, ED25519.record], "permerror", "2 key records"),
    (private_key("rsa", 1024).record, "fail", "the header does not match"),
]


# Keys are made for each run, so they cannot be in the names of tests.
@pytest.mark.parametrize(("record", "word", "reason"), KEYS, ids=range(len(KEYS)))
def test_a_key_that_does_not_permit_the_signature(record, word, reason):
    found = result(signed(MESSAGE, KEY), {NAME: record})
    assert (found.result, reason in found.reason) == (word, True), found.reason


@pytest.mark.parametrize(
    "record",
    [
        KEY.record + ";",
        KEY.record + "; h=sha1 : sha256; s=email:x; n=a note; g=; unknown=1",
        KEY.record + "; s=*",
        KEY.record.removeprefix("v=DKIM1; k=rsa; "),
        KEY.record.replace("p=MII", "p = MI I"),
        ["v=spf1 -all", KEY.record, "any text \ufffd"],
    ],
    ids=range(6),
)
def test_a_key_that_permits_the_signature(record):
    assert result(signed(MESSAGE, KEY), {NAME: record}).result == "pass"


def test_a_key_with_t_s_permits_no_subdomain():
    strict = {NAME: KEY.record + "; t=s"}
    assert result(signed(MESSAGE, KEY), strict).result == "pass"
    found = result(signed(MESSAGE, KEY, i="@mail.example.com"), strict)
    assert (found.result, "t=s" in found.reason) == ("permerror", True)


@pytest.mark.parametrize("message", [signed(MESSAGE, KEY), signed(MESSAGE, KEY, bh="AAAA")])
def test_a_domain_that_tests_dkim_is_reported(message):
    assert result(message, {NAME: KEY.record + "; t=y:s"}).testing


def test_an_internationalised_domain_is_looked_up_as_a_labels():
    message = signed(MESSAGE, KEY, d="MÜNCHEN.example", s="sélecteur", i="jörg@münchen.example")
    name = "xn--slecteur-b1a._domainkey.xn--mnchen-3ya.example"
    found = result(message, {name: KEY.record})
    assert (found.result, found.domain) == ("pass", "xn--mnchen-3ya.example")
    assert found.identity == "jörg@xn--mnchen-3ya.example"


def test_a_field_that_is_not_utf_8_is_reported():
    assert "not UTF-8" in result(signed(MESSAGE, KEY).replace(b"d=ex", b"d=\xff")).reason


def test_what_can_be_read_of_a_malformed_signature_is_reported():
    found = result(signed(MESSAGE, KEY, bh="!"))
    assert (found.domain, found.selector, len(found.signature)) == ("example.com", "s1", 8)


def test_without_a_signature_nothing_is_asked():
    assert dkim(MESSAGE, {}) == []

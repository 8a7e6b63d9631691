"""Reading Authentication-Results: the examples of RFC 8601, odd fields, and authres."""

import json
import random
import subprocess

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tools import peers

from gatepost.mailauth.results import (
    AuthenticationResults,
    MethodResult,
    ResultsError,
    parse,
)
from gatepost.mailauth.results.parse import MAX_VALUE, MOST_METHODS, MOST_PROPERTIES

COMMENTED = """foo.example.net (foobar) 1 (baz);
    dkim (Because I like it) / 1 (One yay) = (wait for it) fail
      policy (A dot can go here) . (like that) expired
      (this surprised me) = (as I wasn't expecting it) 1362471462""".replace("\n", "\r\n")


def method(name, result, *properties, **others):
    return MethodResult(name, result, properties=properties, **others)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("example.org 1; none", AuthenticationResults("example.org")),  # B.2
        (  # B.3
            "example.com;\r\n          spf=pass smtp.mailfrom=example.net",
            AuthenticationResults(
                "example.com", (method("spf", "pass", ("smtp.mailfrom", "example.net")),)
            ),
        ),
        (  # B.4
            (
                "example.com;\r\n          auth=pass (cram-md5) smtp.auth=sender@example.net;\r\n"
                "          spf=pass smtp.mailfrom=example.net"
            ),
            AuthenticationResults(
                "example.com",
                (
                    method("auth", "pass", ("smtp.auth", "sender@example.net")),
                    method("spf", "pass", ("smtp.mailfrom", "example.net")),
                ),
            ),
        ),
        (
            "example.com; iprev=pass\r\n          policy.iprev=192.0.2.200",
            AuthenticationResults(
                "example.com", (method("iprev", "pass", ("policy.iprev", "192.0.2.200")),)
            ),
        ),
        (  # B.5
            "example.com;\r\n          dkim=pass (good signature) header.d=example.com",
            AuthenticationResults(
                "example.com", (method("dkim", "pass", ("header.d", "example.com")),)
            ),
        ),
        (  # B.6
            (
                "example.com;\r\n"
                '          dkim=pass reason="good signature"\r\n'
                "            header.i=@mail-router.example.net;\r\n"
                '          dkim=fail reason="bad signature"\r\n'
                "            header.i=@newyork.example.com"
            ),
            AuthenticationResults(
                "example.com",
                (
                    method(
                        "dkim",
                        "pass",
                        ("header.i", "@mail-router.example.net"),
                        reason="good signature",
                    ),
                    method(
                        "dkim", "fail", ("header.i", "@newyork.example.com"), reason="bad signature"
                    ),
                ),
            ),
        ),
        (  # B.7
            COMMENTED,
            AuthenticationResults(
                "foo.example.net", (method("dkim", "fail", ("policy.expired", "1362471462")),)
            ),
        ),
    ],
)
def test_the_examples_of_the_rfc_are_read(value, expected):
    assert parse(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a; dkim=pass header.b=a/b+c==;", method("dkim", "pass", ("header.b", "a/b+c=="))),
        (
            "a; iprev=pass policy.iprev=2001:db8::1",
            method("iprev", "pass", ("policy.iprev", "2001:db8::1")),
        ),
        ("a; dmarc=pass action=none", method("dmarc", "pass", ("action", "none"))),
        ("a; dmarc=pass(p=none)", method("dmarc", "pass")),
        ("a; SPF=PASS SMTP.MailFrom=A@b", method("spf", "pass", ("smtp.mailfrom", "A@b"))),
        ("a; x_y=temp_error", method("x_y", "temp_error")),
        ("a; spf=pass smtp.mailfrom=", method("spf", "pass", ("smtp.mailfrom", ""))),
        ("a; spf=pass smtp.mailfrom=;", method("spf", "pass", ("smtp.mailfrom", ""))),
        ('a; spf=pass reason="x;\\"y\\\\"', method("spf", "pass", reason='x;"y\\')),
        ('a; spf=pass reason="x\r\n y"', method("spf", "pass", reason="x y")),
        (
            'a; spf=pass smtp.mailfrom="b c"@d.example',
            method("spf", "pass", ("smtp.mailfrom", '"b c"@d.example')),
        ),
        ("a; spf / 2 = pass", method("spf", "pass", version=2)),
    ],
)
def test_what_other_servers_write_is_read(value, expected):
    assert parse(value).methods == (expected,)


def test_a_quoted_id_a_version_and_a_property_are_read():
    found = parse('"mx example" 2; spf=pass smtp.helo=h smtp.helo=i')
    assert (found.authserv_id, found.version) == ("mx example", 2)
    assert found.methods[0].get("smtp.helo") == "h"
    assert found.methods[0].get("smtp.mailfrom") is None


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("", "expected an authserv-id at 0, found the end"),
        ("; none", "expected an authserv-id at 0, found '; none'"),
        ("mx.example", "expected ; at 10, found the end"),
        ("mx.example;", "expected a method at 11, found the end"),
        ("mx.example 1 2; none", "expected ; at 13, found '2; none'"),
        ("spf=pass smtp.mailfrom=a", "expected ; at 3, found '=pass smtp.mailfrom='"),
        ("a; none; spf=pass", "expected = at 7, found '; spf=pass'"),
        ("a; spf=pass; none", "expected = at 17, found the end"),
        ("a; spf", "expected = at 6, found the end"),
        ("a; spf=", "expected a result at 7, found the end"),
        ("a; spf=pass x", "expected = at 13, found the end"),
        ("a; spf=pass x.=y", "expected a property at 14, found '=y'"),
        ("a; spf=pass x=y z", "expected = at 17, found the end"),
        ('a; spf=pass x.y="z', "expected a property at 16, found '\"z'"),
        ("a (b; none", "expected the end of a comment at 1, found ' (b; none'"),
        ("a" * (MAX_VALUE + 1), f"expected at most {MAX_VALUE} characters"),
        (f"a{'; b=c' * (MOST_METHODS + 1)}", f"expected at most {MOST_METHODS} results"),
        (f"a; b=c{' d=e' * (MOST_PROPERTIES + 1)}", "expected at most 100 properties"),
    ],
)
def test_a_wrong_field_has_a_position_and_a_reason(value, problem):
    with pytest.raises(ResultsError) as error:
        parse(value)
    assert str(error.value) == problem


PIECES = st.sampled_from(
    [*'();=/."\\@ \t', "\r\n ", "a", "spf=pass", "; spf=pass", "reason=", "smtp.mailfrom=", "none"]
)


@given(st.text() | st.lists(PIECES, max_size=60).map(lambda parts: "mx; " + "".join(parts)))
@example("mx; " + "(" * 60_000)
@example("mx; a=b c=" + '"\\' * 30_000)
@example("mx; " + "a " * 30_000)
@example("()" * 30_000)
def test_any_text_is_read_or_is_wrong(value):
    try:
        found = parse(value)
    except ResultsError:
        return
    assert found.authserv_id or value.lstrip().startswith(('"', "("))


ORACLE = """
import authres, json, sys
for line in sys.stdin:
    try:
        found = authres.AuthenticationResultsHeader.parse_value(json.loads(line))
    except Exception as error:
        print(json.dumps(None))
        continue
    rows = [
        [one.method, one.result, one.reason or "",
         [[f"{p.type}.{p.name}", p.value] for p in one.properties]]
        for one in found.results if one.method != "none"
    ]
    print(json.dumps([found.authserv_id, rows]))
"""
IDS = ["mx.example", '"mx.example"', "(c) mx.example", "mx.example 1", "mx.example (c) 1"]
METHODS = ["spf", "dkim", "dmarc", "x-new", "iprev", "auth"]
PROPERTIES = [
    "smtp.mailfrom",
    "header.d",
    "header . i",
    "policy.x",
    "smtp.auth",
    "header (c) . from",
]
VALUES = [
    *("a.example", "a@b.example", "@b.example", '"q;\\" (x"', "(c) v", '""', "192.0.2.1", "a/b"),
    *("a=b", "\u00fc"),
]
PLAIN_VALUES = [value for value in VALUES if value[0] != '"']
GAPS = [" ", "\t", " (c (d) \\) ;)", "\r\n\t"]
# What authres refuses, with the place in the RFCs that permits it.
REFUSED = {
    '"mx.example"': "authserv-id is a value, so it can be a quoted string (RFC 8601 s2.2)",
    "\u00fc": "UTF-8 is permitted in a token and in an address (RFC 8601 s2.2, RFC 6532 s3.2)",
}
# What authres reads in another way: the value that it finds, ours, and the reason.
READ_OTHERWISE = {
    'q;\\" (x': ('q;" (x', "a backslash is not part of a quoted string (RFC 5322 s3.2.4)"),
}


def random_field(dice):
    text = dice.choice(IDS)
    used = {text}

    def gap():
        return dice.choice(GAPS)

    for _ in range(dice.randint(1, 4)):
        text += f";{gap()}{dice.choice(METHODS)}={dice.choice(['pass', 'fail', 'none'])}"
        if dice.random() < 0.3:
            text += f'{gap()}reason="{dice.choice(["good", "a; b", "(x)"])}"'
        # authres keeps one property of a name, and loses a quoted one in front of another one.
        names = dice.sample(PROPERTIES, dice.randint(0, 3))
        for name in names:
            value = dice.choice(VALUES if name == names[-1] else PLAIN_VALUES)
            used.add(value)
            text += f"{gap()}{name}={value}"
    return text, used


def found_by_us(value):
    try:
        found = parse(value)
    except ResultsError:
        return None
    rows = [
        [one.method, one.result, one.reason, [list(pair) for pair in one.properties]]
        for one in found.methods
    ]
    return [found.authserv_id, rows]


def as_we_read(found):
    authserv_id, rows = found
    for _, _, _, properties in rows:
        for pair in properties:
            pair[1] = READ_OTHERWISE.get(pair[1], pair[1:])[0]
    return [authserv_id, rows]


def test_random_fields_are_read_as_authres_does():
    command = peers.find("authres")
    if command is None:
        pytest.skip(f"authres: {peers.missing(['authres'])['authres']}")
    dice = random.Random(20_261_130)
    fields = [random_field(dice) for _ in range(2000)]
    done = subprocess.run(
        command.argv("-W", "ignore", "-c", ORACLE),
        env=command.env,
        input="".join(json.dumps(text.replace("\r\n", "")) + "\n" for text, _ in fields),
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    theirs = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(theirs) == len(fields)
    compared = 0
    for (text, used), expected in zip(fields, theirs, strict=True):
        if used & REFUSED.keys():
            assert expected is None
        else:
            assert found_by_us(text) == as_we_read(expected), text
            compared += 1
    assert compared > 500

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.wire.driver import HELLO, MAIL, play

from gatepost.model.address import NULL_PATH, Address
from gatepost.wire import events as e
from gatepost.wire.smtp.syntax.path import LENIENT, strict_paths

STRICT = strict_paths()
MAIL_SYNTAX = "501 5.1.7 Syntax error: expected MAIL FROM:<address>"
RCPT_SYNTAX = "501 5.1.3 Syntax error: expected RCPT TO:<address>"
NEEDS_UTF8 = "553 5.6.7 Non-ASCII address needs the SMTPUTF8 parameter"

GOOD = [
    ("<a@b>", Address("a", "b")),
    ("<a.b+c=d/e@b-c.example>", Address("a.b+c=d/e", "b-c.example")),
    ("<!#$%&'*+-/=?^_`{|}~@b>", Address("!#$%&'*+-/=?^_`{|}~", "b")),
    ("<A@B.Example>", Address("A", "B.Example")),
    ('<"a b"@c>', Address("a b", "c")),
    ('<"a@b"@c>', Address("a@b", "c")),
    ('<"a>b <c"@d>', Address("a>b <c", "d")),
    ('<"\\"\\\\"@c>', Address('"\\', "c")),
    ('<"\\a"@c>', Address("a", "c")),
    ('<""@c>', Address("", "c")),
    ('<"a..b."@c>', Address("a..b.", "c")),
    ("<a@[192.0.2.1]>", Address("a", "[192.0.2.1]")),
    ("<a@[IPv6:2001:db8::1]>", Address("a", "[IPv6:2001:db8::1]")),
    ("<a@[ipv6:::ffff:192.0.2.1]>", Address("a", "[ipv6:::ffff:192.0.2.1]")),
    ("<a@[IPv6:1:2:3:4:5:6:7:8]>", Address("a", "[IPv6:1:2:3:4:5:6:7:8]")),
    ("<a@[IPv6:1:2:3:4:5:6:7.8.9.10]>", Address("a", "[IPv6:1:2:3:4:5:6:7.8.9.10]")),
    ("<a@[IPv6:12:34:56:78:9a:bc::]>", Address("a", "[IPv6:12:34:56:78:9a:bc::]")),
    ("<a@[IPv6:::]>", Address("a", "[IPv6:::]")),
    ("<@x:a@b>", Address("a", "b")),
    ("<@x.example,@y,@z:a@b>", Address("a", "b")),
    ("<a@b--c.xn--p1ai>", Address("a", "b--c.xn--p1ai")),
    ("<a%d@b>", Address("a%d", "b")),
    ("<b!u@c>", Address("b!u", "c")),
]
BAD = [
    "",
    "a@b",
    "<a@b",
    "a@b>",
    "<a@[x-400:c=de]>",
    "<a@[IPv6:1:2:3:4:5:6:7::]>",
    "<a@[IPv6:::2:3:4:5:6:7:8]>",
    "<a@[2001:db8::1]>",
    " <a@b>",
    "<a@b>x",
    "<<a@b>>",
    "< a@b>",
    "<a@b >",
    "<a>",
    "<a@>",
    "<@b>",
    "<a@b@c>",
    "<a b@c>",
    "<.a@b>",
    "<a.@b>",
    "<a..b@c>",
    '<"a@b>',
    '<"a"b@c>',
    '<a"b"@c>',
    '<"a\\"@b>',
    "<(comment)a@b>",
    "<a@b.>",
    "<a@.b>",
    "<a@b..c>",
    "<a@-b>",
    "<a@b->",
    "<a@b_c>",
    "<a@[192.0.2.256]>",
    "<a@[192.0.2]>",
    "<a@[192.0.2.1>",
    "<a@192.0.2.1]>",
    "<a@[]>",
    "<a@[IPv6:2001:db8::g]>",
    "<a@[IPv6:]>",
    "<a@[IPv6:fe80::1%eth0]>",
    "<a@[2001:]>",
    "<a@[tag:a b]>",
    "<a@[-:x]>",
    "<[192.0.2.1]:a>",
    "<@x a@b>",
    "<@x,y:a@b>",
    "<@x:@y:a@b>",
    "<@[192.0.2.1]:a@b>",
    "<" + "a" * 257 + "@b>",
    "<a@" + "b" * 256 + ">",
    "<a@" + "b." * 127 + "bc>",
    "<a@" + "b" * 64 + ">",
    "<a@c." + "b" * 64 + ".d>",
]


def mail(argument, **options):
    played = play(HELLO + f"MAIL FROM:{argument}\r\n".encode(), **options)
    return played.events[-1], played.replies[-1]


def rcpt(argument, **options):
    played = play(MAIL + f"RCPT TO:{argument}\r\n".encode(), **options)
    return played.events[-1], played.replies[-1]


@pytest.mark.parametrize("patterns", [STRICT, LENIENT])
@pytest.mark.parametrize(("argument", "address"), GOOD)
def test_valid_paths_are_accepted(argument, address, patterns):
    assert mail(argument, paths=patterns) == (e.Mail(address, {}), "250 2.0.0 ok")
    assert rcpt(argument, paths=patterns) == (e.Rcpt(address, {}), "250 2.0.0 ok")


@pytest.mark.parametrize("argument", BAD)
def test_malformed_paths_are_refused(argument):
    assert mail(argument, paths=STRICT)[1] == MAIL_SYNTAX
    assert rcpt(argument, paths=STRICT)[1] == RCPT_SYNTAX


# Malformed, but in use. Postfix accepts them too.
TOLERATED = {
    "a@b": Address("a", "b"),
    " <a@b>": Address("a", "b"),
    "<.a@b>": Address(".a", "b"),
    "<a.@b>": Address("a.", "b"),
    "<a..b@c>": Address("a..b", "c"),
    "<a@b.>": Address("a", "b"),
    "<a@b_c>": Address("a", "b_c"),
    "<a@[x-400:c=de]>": Address("a", "[x-400:c=de]"),
    "<a@[IPv6:1:2:3:4:5:6:7::]>": Address("a", "[IPv6:1:2:3:4:5:6:7::]"),
    "<a@[IPv6:::2:3:4:5:6:7:8]>": Address("a", "[IPv6:::2:3:4:5:6:7:8]"),
}


@pytest.mark.parametrize("argument", BAD)
def test_lenient_accepts_only_the_documented_errors(argument):
    if argument in TOLERATED:
        assert mail(argument)[0] == e.Mail(TOLERATED[argument], {})
        assert rcpt(argument)[0] == e.Rcpt(TOLERATED[argument], {})
    else:
        assert mail(argument)[1] == MAIL_SYNTAX
        assert rcpt(argument)[1] == RCPT_SYNTAX


@pytest.mark.parametrize(
    ("argument", "address"),
    [
        ("<root@my_host.example>", Address("root", "my_host.example")),
        ("<a@_dmarc._b_.example>", Address("a", "_dmarc._b_.example")),
        ("<a..b.@docomo.example.>", Address("a..b.", "docomo.example")),
        ("<@my_host.,@b.:a@c.>", Address("a", "c")),
        ("  .@b_c.", Address(".", "b_c")),
        ("<a@example.com.> SIZE=1", Address("a", "example.com")),
    ],
)
def test_errors_of_senders_can_be_combined(argument, address):
    assert mail(argument)[0].path == address
    assert mail(argument, paths=STRICT)[1] == MAIL_SYNTAX


@pytest.mark.parametrize("argument", ["<a@b..>", "<a@.>", "<a@[192.0.2.1].>", "<a@_->", "<..>"])
def test_other_errors_are_refused(argument):
    assert mail(argument)[1] == MAIL_SYNTAX
    assert rcpt(argument)[1] == RCPT_SYNTAX


@pytest.mark.parametrize(
    ("argument", "address"),
    [
        ("a@b", Address("a", "b")),
        ("  a@b", Address("a", "b")),
        ('"a b"@[192.0.2.1]', Address("a b", "[192.0.2.1]")),
        (" <@x:a@b>", Address("a", "b")),
        (" <>", NULL_PATH),
    ],
)
def test_lenient_accepts_missing_brackets_and_blanks(argument, address):
    assert mail(argument)[0] == e.Mail(address, {})
    assert mail(argument + " SIZE=7")[0] == e.Mail(address, {"SIZE": "7"})


@given(st.lists(st.sampled_from(["0", "1f", "2001"]), max_size=9), st.integers(0, 9), st.booleans())
def test_two_colons_stand_for_two_groups_at_least(groups, gap, has_ipv4):
    """Compare with the count of RFC 5321 section 4.1.3: an IPv4 address counts as two groups."""
    gap = min(gap, len(groups))
    left, right = ":".join(groups[:gap]), groups[gap:] + ["192.0.2.1"] * has_ipv4
    text = f"IPv6:{left}::{':'.join(right)}"
    accepted = isinstance(mail(f"<a@[{text}]>", paths=STRICT)[0], e.Mail)
    assert accepted == (len(groups) + 2 * has_ipv4 <= 6)


def test_lenient_checks_the_literal_too():
    assert mail("a@[192.0.2.999]")[1] == MAIL_SYNTAX


def test_the_longest_path_is_accepted():
    longest = Address("a" * 256, ".".join(["b" * 63] * 4))
    assert mail(f"<{longest}>")[0] == e.Mail(longest, {})


def test_the_null_reverse_path_is_accepted():
    event, reply = mail("<>")
    assert event == e.Mail(NULL_PATH, {})
    assert not event.path
    assert reply == "250 2.0.0 ok"
    assert rcpt("<>")[1] == RCPT_SYNTAX


@pytest.mark.parametrize("name", ["postmaster", "Postmaster", "POSTMASTER", "pOsTmAsTeR"])
def test_postmaster_needs_no_domain(name):
    assert rcpt(f"<{name}>")[0] == e.Rcpt(Address(name, ""), {})
    assert mail(f"<{name}>")[1] == MAIL_SYNTAX
    assert rcpt(name)[1] == RCPT_SYNTAX


@pytest.mark.parametrize(
    "line",
    ["mail from:<a@b>", "Mail From:<a@b>", "MAIL FROM:<a@b> ", "MAIL FROM:<a@b>   size=5"],
)
def test_case_and_trailing_blanks_are_ignored(line):
    assert type(play(HELLO + line.encode() + b"\r\n").events[-1]) is e.Mail


@pytest.mark.parametrize(
    "line",
    [
        "MAIL",
        "MAIL ",
        "MAIL FROM",
        "MAIL FROM:",
        "MAIL FROM <a@b>",
        "MAIL  FROM:<a@b>",
        "MAIL TO:<a@b>",
        "MAIL FROM:<a@b>SIZE=5",
    ],
)
def test_a_missing_path_is_refused(line):
    assert play(HELLO + line.encode() + b"\r\n").replies[-1] == MAIL_SYNTAX


@pytest.mark.parametrize(
    "address",
    ["<jürgen@b.example>", "<a@müller.example>", '<"ü ö"@b>', "<@bücher:a@b>", "<猫@日本>"],
)
def test_utf8_requires_the_smtputf8_parameter(address):
    assert mail(address)[1] == NEEDS_UTF8
    assert rcpt(address)[1] == NEEDS_UTF8
    assert type(mail(f"{address} SMTPUTF8")[0]) is e.Mail
    declared = f"MAIL FROM:<a@b> SMTPUTF8\r\nRCPT TO:{address}\r\n".encode()
    assert type(play(HELLO + declared).events[-1]) is e.Rcpt


@pytest.mark.parametrize(
    "domain",
    ["ü" * 58, "ü" * 240, "e" + "\u0301" * 200, ".".join(["ü" * 20] * 7), "a\uff0fb", "猫" * 86],
)
def test_a_domain_without_a_canonical_form_is_refused(domain):
    assert mail(f"<a@{domain}> SMTPUTF8")[1] == MAIL_SYNTAX
    declared = f"MAIL FROM:<a@b> SMTPUTF8\r\nRCPT TO:<a@{domain}>\r\n".encode()
    assert play(HELLO + declared).replies[-1] == RCPT_SYNTAX


def test_smtputf8_applies_to_one_transaction():
    first = "MAIL FROM:<ü@b> SMTPUTF8\r\nRSET\r\nMAIL FROM:<a@b>\r\nRCPT TO:<ü@b>\r\n".encode()
    assert play(HELLO + first).replies[-1] == NEEDS_UTF8


@pytest.mark.parametrize("argument", ["<a\0@b>", "<a\t@b>", "<a@b\x7f>", "<a@b\u00a0>"])
def test_control_characters_are_refused(argument):
    assert mail(argument)[1] == "500 5.5.2 Syntax error: non-printable character"


@given(st.text(max_size=40))
def test_a_bracketed_address_is_read_whole(text):
    match = STRICT["RCPT"].fullmatch(f"TO:<{text}>")
    if match is not None and match[1] is not None:
        assert text.endswith(f"{match[1]}@{match[2]}")
        assert text.startswith(("@", match[1]))

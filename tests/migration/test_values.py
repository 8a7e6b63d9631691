"""Networks, patterns, INI files, CDB files and TOML."""

import ipaddress
import string
import struct
import tomllib
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.migration.made import lines

from gatepost.lists.entry import parse_line
from gatepost.lists.patterns import MAX_PATTERNS, compile_pattern
from gatepost.migration import own_plugins
from gatepost.migration.cdb import CdbError, records
from gatepost.migration.findings import MOST_BAD_LINES, Findings, Kind
from gatepost.migration.haraka.ini import parse_ini
from gatepost.migration.networks import parse_network, without
from gatepost.migration.own_plugins import hooks_of
from gatepost.migration.rules import Rules, in_slashes, quoted, whole
from gatepost.migration.services import next_hop, points, server_address
from gatepost.migration.toml import assignment, to_toml
from gatepost.plugin.hooks import HOOKS, NOTIFICATIONS
from gatepost.plugins._regex_rules import parse_rule

# networks


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("192.0.2.1", "192.0.2.1/32"),
        ("192.0.2.0/24", "192.0.2.0/24"),
        ("192.0.2.77/24", "192.0.2.0/24"),
        ("192.168.", "192.168.0.0/16"),
        ("10.", "10.0.0.0/8"),
        ("10.1.2.", "10.1.2.0/24"),
        ("2001:db8:e431:ae06:", "2001:db8:e431:ae06::/64"),
        ("2001:db8::/32", "2001:db8::/32"),
        ("::1", "::1/128"),
        ("::", "::/128"),
    ],
)
def test_a_network_of_another_server_is_read(text, network):
    assert str(parse_network(text)) == network


@pytest.mark.parametrize("text", ["", ".", "192.168", "1.2.3.4.", "a.", "1.2.3.4/33", ":", "x"])
def test_what_is_no_network_is_an_error(text):
    with pytest.raises(ValueError, match="expected an address or a network"):
        parse_network(text)


NETWORKS = st.lists(
    st.builds(
        lambda number, length: ipaddress.ip_network((number << 24, length), strict=False),
        st.integers(0, 255),
        st.integers(1, 12),
    ),
    max_size=5,
)


@given(NETWORKS, NETWORKS, st.integers(0, 2**32 - 1))
def test_networks_without_others_have_the_addresses_of_the_first_only(allowed, forbidden, number):
    address = ipaddress.ip_address(number)
    expected = any(address in one for one in allowed) and not any(
        address in one for one in forbidden
    )
    assert any(address in one for one in without(allowed, forbidden)) is expected


def test_networks_of_both_versions_are_kept_apart():
    networks = [parse_network(one) for one in ("2001:db8::/32", "10.0.0.0/31", "10.0.0.2/31")]
    found = without(networks, [parse_network("2001:db8::/33"), parse_network("10.0.0.3")])
    assert [str(one) for one in found] == ["10.0.0.0/31", "10.0.0.2/32", "2001:db8:8000::/33"]


# patterns


@given(st.text(alphabet=string.printable.strip() + "äß", min_size=1, max_size=20))
def test_a_quoted_text_matches_itself_as_a_rule(text):
    line = Rules("sender").rule("name", whole(quoted(text)))
    rule, _, _ = parse_rule(line, "file", 1)
    assert (rule.name, rule.where) == ("name", "sender")
    assert compile_pattern(rule.pattern).search(text) is not None


@given(st.text(alphabet=string.ascii_letters + "/\\.@", max_size=12))
def test_slashes_do_not_end_a_pattern(pattern):
    if len(pattern) - len(pattern.rstrip("\\")) & 1:
        pattern += "x"  # a pattern cannot end with a backslash
    try:
        found = parse_line(f"{in_slashes(pattern + 'x')} a note", "file", 1)
    except ValueError as error:
        assert "regular expression" in str(error)  # noqa: PT017 - of RE2, such as \g
    else:
        assert found.note == "a note"


def test_the_rules_of_one_place_share_the_limit_of_patterns():
    rules = Rules("sender")
    for number in range(MAX_PATTERNS):
        rules.rule("name", f"a{number}@")
    with pytest.raises(ValueError, match="at most 1000"):
        rules.rule("name", "one more")


def test_a_reply_that_is_not_ascii_is_left_out():
    assert Rules("sender").rule("name", "x", "grüße") == "name sender deny /x/"
    assert Rules("sender").rule("name", "x", "go away") == "name sender deny /x/ go away"


# INI


def ini(*texts):
    findings = Findings()
    return parse_ini(lines(*texts, file="x.ini"), findings, "x.ini"), findings


def test_sections_keys_lists_and_continued_lines_are_read():
    found, findings = ini(
        "a = 1", "[one]", "b=x y", "c[]=1", "c[]= 2", "d=long \\", "line", "e", "[ two ]", "a=on"
    )
    assert (found.get("a"), found.get("b", section="one")) == ("1", "x y")
    assert found.all("one", "c") == ["1", "2"]
    assert found.get("d", section="one") == "long line"
    assert list(found.keys("one")) == ["b", "c", "d", "e"]
    assert list(found.sections()) == ["one", "two"]
    assert found.true("two", "a")
    assert findings.of(Kind.LEFT) == []


@pytest.mark.parametrize("value", ["true", "YES", "ok", "enabled", "On", "1"])
def test_words_for_true(value):
    assert ini(f"a={value}")[0].true("main", "a")


@pytest.mark.parametrize("value", ["false", "no", "0", "", "2", "true story"])
def test_all_other_words_are_false(value):
    assert not ini(f"a={value}")[0].true("main", "a", default=True)


@pytest.mark.parametrize(
    ("value", "number"), [("5", 5), ("-5", None), ("5.0", None), ("٣", None), ("9" * 40, None)]
)
def test_only_a_whole_number_is_one(value, number):
    assert ini(f"a={value}")[0].number("a") == number


def test_a_line_that_is_no_key_is_a_finding_without_its_text():
    _, findings = ini("pass word = hunter2")
    assert [(one.place, one.text) for one in findings.of(Kind.LEFT)] == [
        ("x.ini:1", "expected a key and a value")
    ]


@given(st.lists(st.text(max_size=30).map(str.strip).filter(bool), max_size=10))
def test_any_lines_are_read_as_an_ini_file(texts):
    found, _ = ini(*texts)
    assert all(isinstance(found.get(key), str) for key in found.keys("main"))


# CDB


def cdb(*pairs):
    body = b"".join(struct.pack("<II", len(k), len(v)) + k + v for k, v in pairs)
    end = 2048 + len(body)
    return struct.pack("<II", end, 0) * 256 + body


def test_the_records_of_a_cdb_file_are_read_in_their_order(tmp_path):
    (tmp_path / "x.cdb").write_bytes(cdb((b"example.com", b""), (b"example.org", b"1")))
    assert list(records(tmp_path / "x.cdb")) == [(b"example.com", b""), (b"example.org", b"1")]


@pytest.mark.parametrize(
    "octets", [b"", b"short", b"\0" * 2048, b"\xff" * 4096, cdb((b"a", b"b"))[:-1]]
)
def test_a_damaged_cdb_file_is_an_error(tmp_path, octets):
    (tmp_path / "x.cdb").write_bytes(octets)
    with pytest.raises(CdbError):
        list(records(tmp_path / "x.cdb"))


@given(st.binary(max_size=64), st.integers(0, 4000))
def test_any_octets_are_records_or_an_error(tmp_path_factory, octets, end):
    path = tmp_path_factory.mktemp("cdb") / "x.cdb"
    path.write_bytes(struct.pack("<II", end, 0) * 256 + octets)
    with suppress(CdbError):
        assert all(isinstance(key, bytes) for key, _ in records(path))


# TOML

VALUES = st.recursive(
    st.text() | st.integers(-(2**60), 2**60) | st.booleans(),
    lambda inside: st.lists(inside, max_size=4) | st.dictionaries(st.text(), inside, max_size=4),
    max_leaves=12,
)
NO_SURROGATES = st.text(alphabet=st.characters(exclude_categories=["Cs"]))


@given(NO_SURROGATES, VALUES.filter(lambda value: "\\ud" not in repr(value)), st.text())
def test_a_value_is_read_again_as_it_was_written(name, value, remark):
    text = "\n".join(assignment(name, value, remark))
    assert tomllib.loads(text) == {name: value}


def test_a_long_array_has_a_line_for_each_item():
    long = [f"item {number} of a list" for number in range(10)]
    assert len(assignment("a", long)) == 12
    assert tomllib.loads("\n".join(assignment("a", long, "x"))) == {"a": long}


def test_del_is_escaped():
    assert to_toml("x\x7fy") == '"x\\u007fy"'


# others


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("/run/clamd", "unix:/run/clamd"),
        ("10.0.0.1:99", "10.0.0.1:99"),
        ("clamd.example", "clamd.example:783"),
        ("", "localhost:783"),
        (":99", "localhost:99"),
        ("[::1]:99", "[::1]:99"),
    ],
)
def test_an_address_of_a_scanner_has_a_port(text, address):
    assert server_address(text, 783) == address


@pytest.mark.parametrize(
    ("text", "number"),
    [("7", 7.0), ("7.5", 7.5), *((one, 0.0) for one in ("-1", "x", "", "1e9", "nan", "inf"))],
)
def test_points_are_a_number(text, number):
    assert points(text) == number


@pytest.mark.parametrize(
    ("host", "port", "target"),
    [
        ("mail.example", "25", "smtp://mail.example:25"),
        ("[2001:db8::1]", "26", "smtp://[2001:db8::1]:26"),
        ("2001:db8::1", "26", "smtp://[2001:db8::1]:26"),
        ("10.0.0.1", "65535", "smtp://10.0.0.1:65535"),
        *((host, "25", None) for host in ("", "a..b", "a b", "a/b", "u:p@h", "x" * 300)),
        *(("h.example", port, None) for port in ("", "0", "65536", "-1", "٣", "smtp")),
    ],
)
def test_a_next_hop_has_a_host_and_a_port(host, port, target):
    assert next_hop("smtp", host, port) == target


def test_the_hooks_of_perl_and_javascript_are_found():
    perl = "sub register { $self->register_hook('rcpt', 'x'); }\nsub hook_data_post {}\n"
    js = "exports.hook_mail = function () {}\nthis.register_hook( \"queue\", 'x')\n"
    assert hooks_of(perl) == ["data_post", "rcpt"]
    assert hooks_of(js) == ["mail", "queue"]


def test_the_hooks_here_exist():
    names = {*HOOKS, *NOTIFICATIONS}
    here = {one.partition("_")[2] for one in own_plugins.HERE.values() if "_" in one}
    assert here - names == {"any"}


def test_wrong_lines_are_counted_beyond_the_first_and_once():
    findings = Findings()
    for _ in range(2):
        for number in range(1, MOST_BAD_LINES + 4):
            findings.bad_line("list", number, "expected an address")
    left = findings.of(Kind.LEFT)
    assert len(left) == MOST_BAD_LINES + 1
    assert (left[-1].place, left[-1].text) == ("list", "3 more wrong lines")

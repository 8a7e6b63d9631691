"""Tables in an LDAP directory: a real slapd."""

import asyncio
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ldap3.operation.search import parse_filter
from structlog.testing import capture_logs
from tests.net import authority
from tests.tables.remote import ask, table
from tools import slapd

from gatepost.plugin.virtual_clock import VirtualClock
from gatepost.tables.cached import FAILURES, PAUSE, CachedTable
from gatepost.tables.spec import TableSpecError
from gatepost.tables.table import TableError
from gatepost.tables.types.ldap import escape

MAILBOXES = ["ann@example.com", "o'brien+x@example.com", "a(b)*c@example.com", "Carl@Example.com"]
MORE = f"""
dn: cn=two,{slapd.BASE}
objectClass: inetOrgPerson
cn: two
sn: two
uid: two
mail: first@example.com
mail: second@example.com
description: one
description: other

dn: cn=three,{slapd.BASE}
objectClass: inetOrgPerson
cn: three
sn: three
uid: three
mail: second@example.com
description: third
"""
HOSTILE = [
    "*@example.com",
    "*",
    "ann*",
    "x)(mail=*",
    "x)(|(mail=*))(&(mail=x",
    "\\2a@example.com",
    "ann@example.com)(objectClass=*",
    "a&b|c!d=e>=f~=g@example.com",
    "\u00f6@example.com",
    " ",
]
# Every access needs an account.
CLOSED = "access to * by anonymous auth by * none\nrequire authc"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    if reason := slapd.why_not():
        pytest.skip(reason)
    with slapd.running(tmp_path_factory.mktemp("slapd"), MAILBOXES, ldif=MORE) as running:
        yield running


def over(server, folder, **options):
    section = {"urls": [server.url], "base": slapd.BASE, "tls": "none", "timeout": "30s", **options}
    return table("ldap:u", folder, ldap={"u": section})


def run_slapd(folder, **options):
    if reason := slapd.why_not():
        pytest.skip(reason)
    (folder / "slapd").mkdir()
    return slapd.running(folder / "slapd", ["ann@example.com"], **options)


def test_found_keys_have_empty_values_from_one_search(server, tmp_path):
    keys = ["ann@example.com", "bob@example.com", "@example.com", *MAILBOXES[1:]]
    assert ask(over(server, tmp_path), *keys) == dict.fromkeys(MAILBOXES, "")


def test_the_directory_decides_which_keys_are_equal(server, tmp_path):
    keys = ["ANN@EXAMPLE.COM", "carl@example.com", "bob@example.com"]
    assert ask(over(server, tmp_path), *keys) == dict.fromkeys(keys[:2], "")


@pytest.mark.parametrize("key_attribute", ["mail", "MAIL", "cn", "nothing", ""])
def test_values_of_several_entries_and_attributes_are_joined(server, tmp_path, key_attribute):
    made = over(server, tmp_path, value_attribute="description", key_attribute=key_attribute)
    found = ask(made, "first@example.com", "second@example.com", "ann@example.com", "bob@x")
    assert {key: sorted(value.split(", ")) for key, value in found.items()} == {
        "first@example.com": ["one", "other"],
        "second@example.com": ["one", "other", "third"],
        "ann@example.com": [""],
    }


@pytest.mark.parametrize("key_attribute", ["uid", ""])
def test_a_filter_can_have_the_parts_of_an_address(server, tmp_path, key_attribute):
    text = "(&(objectClass=inetOrgPerson)(uid={user})(mail=*@{domain}))"
    made = over(server, tmp_path, filter=text, key_attribute=key_attribute)
    keys = ["two@example.com", "ann@example.com", "two@example.org", "@example.com", "two"]
    assert set(ask(made, *keys)) == {"two@example.com", "ann@example.com"}


@pytest.mark.parametrize("key", HOSTILE)
def test_no_key_changes_the_filter(server, tmp_path, key):
    assert ask(over(server, tmp_path), key, "ann@example.com") == {"ann@example.com": ""}
    assert ask(over(server, tmp_path), key) == {}


@given(st.text(min_size=1))
def test_an_escaped_key_is_one_value_of_the_filter(key):
    root = parse_filter(f"(mail={escape(key)})", None, False, False, None, False)
    [only] = root.elements
    assert only.assertion["attr"] == "mail"
    value = only.assertion["value"]
    octets = re.sub(rb"\\(..)", lambda one: bytes.fromhex(one[1].decode()), value)
    assert octets.decode() == key


def test_the_scope_limits_the_search(server, tmp_path):
    text = "(|(mail={key})(dc={key}))"
    keys = ["ann@example.com", "example"]
    found = {
        scope: set(ask(over(server, tmp_path, filter=text, scope=scope), *keys))
        for scope in ("base", "one", "sub")
    }
    assert found == {"base": {"example"}, "one": {"ann@example.com"}, "sub": set(keys)}


def test_too_many_entries_are_an_error(tmp_path):
    if reason := slapd.why_not():
        pytest.skip(reason)
    (tmp_path / "slapd").mkdir()
    with slapd.running(tmp_path / "slapd", [f"u{n}@example.com" for n in range(101)]) as server:
        made = over(server, tmp_path, filter="(|(mail={key})(objectClass=*))")
        with pytest.raises(TableError, match="expected at most 100 entries"):
            ask(made, "u1@example.com")


def test_a_base_that_is_missing_is_an_error(server, tmp_path):
    with pytest.raises(TableError, match="noSuchObject"):
        ask(over(server, tmp_path, base="dc=nowhere"), "ann@example.com")


def test_a_referral_is_an_error_and_is_not_followed(tmp_path):
    with (
        run_slapd(tmp_path, options="referral ldap://127.0.0.1:1") as server,
        pytest.raises(TableError, match="referral"),
    ):
        ask(over(server, tmp_path, base="dc=nowhere"), "ann@example.com")


def test_an_account_and_its_password_are_used(tmp_path):
    (tmp_path / "password").write_text(f"{slapd.PASSWORD}\n")
    (tmp_path / "wrong").write_text("wrong-one\n")
    with run_slapd(tmp_path, access=CLOSED) as server:
        made = over(server, tmp_path, bind_dn=slapd.ROOT_DN, password_file="password")
        assert ask(made, "ann@example.com") == {"ann@example.com": ""}
        with pytest.raises(TableError, match="invalidCredentials") as found:
            ask(
                over(server, tmp_path, bind_dn=slapd.ROOT_DN, password_file="wrong"),
                "ann@example.com",
            )
        assert "wrong-one" not in str(found.value)
        with pytest.raises(TableError):
            ask(over(server, tmp_path), "ann@example.com")


@pytest.mark.parametrize("scheme", ["ldap", "ldaps"])
def test_the_certificate_of_the_server_is_checked(tmp_path, scheme):
    cert, key = authority.write(tmp_path, "127.0.0.1")
    other, other_key = authority.write(tmp_path, "ldap.example.com", stem="other")
    ca = authority.write_authority(tmp_path)
    tls = f"TLSCertificateFile {cert}\nTLSCertificateKeyFile {key}\nTLSCACertificateFile {ca}"
    secured = {"tls": "starttls", "ca": "ca.pem"}
    with run_slapd(tmp_path, options=tls, scheme=scheme) as server:
        assert ask(over(server, tmp_path, **secured), "ann@example.com") == {"ann@example.com": ""}
        with pytest.raises(TableError, match="certificate verify failed"):
            ask(over(server, tmp_path, tls="starttls"), "ann@example.com")
        server.kill()
        config = server.folder / "slapd.conf"
        text = config.read_text().replace(str(cert), str(other))
        config.write_text(text.replace(str(key), str(other_key)))
        server.start()
        with pytest.raises(TableError, match="certificate verify failed"):
            ask(over(server, tmp_path, **secured), "ann@example.com")


def test_a_server_without_tls_is_an_error_if_tls_is_configured(server, tmp_path):
    with pytest.raises(TableError, match="startTLS"):
        ask(over(server, tmp_path, tls="starttls"), "ann@example.com")


def test_the_next_server_is_used_if_one_cannot_be_reached(server, tmp_path):
    made = over(server, tmp_path, urls=["ldap://127.0.0.1:1", server.url])
    assert ask(made, "ann@example.com") == {"ann@example.com": ""}


def test_a_restart_of_the_server_between_two_searches_is_not_noticed(tmp_path):
    with run_slapd(tmp_path) as server:

        async def run():
            made = over(server, tmp_path)
            for _ in range(3):
                assert await made.ask(["ann@example.com"]) == {"ann@example.com": ""}
                await asyncio.to_thread(server.kill)
                await asyncio.to_thread(server.start)
            await made.stop()

        asyncio.run(run())


@pytest.mark.parametrize("trouble", ["kill", "suspend"])
def test_an_outage_is_reported_once_and_ends_when_the_server_is_back(tmp_path, trouble):
    with run_slapd(tmp_path) as server:

        async def run():
            now = [100.0]
            made = over(server, tmp_path)
            cached = CachedTable(made, VirtualClock(), 0.0, monotonic=lambda: now[0])
            assert await cached.ask(["ann@example.com"]) == {"ann@example.com": ""}
            await asyncio.to_thread(getattr(server, trouble))
            made.timeout = 0.05
            for _ in range(FAILURES + 2):
                with pytest.raises(TableError):
                    await cached.ask(["ann@example.com"])
            await asyncio.to_thread(server.start if trouble == "kill" else server.resume)
            made.timeout = 30.0
            now[0] += PAUSE
            assert await cached.ask(["ann@example.com"]) == {"ann@example.com": ""}
            await cached.stop()

        with capture_logs() as logs:
            asyncio.run(run())
    assert [line["event"] for line in logs] == ["table unavailable", "table available"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"urls": []}, "expected at least one"),
        ({"filter": "mail={key}"}, "expected a filter of RFC 4515"),
        ({"filter": "(mail={key}"}, "expected a filter of RFC 4515"),
        ({"filter": "(mail=*)"}, "expected {key}, {user} or {domain}"),
        ({"bind_dn": "cn=x"}, "expected bind_dn and password_file, or neither"),
        ({"password_file": "x"}, "expected bind_dn and password_file, or neither"),
        ({"bind_dn": "cn=x", "password_file": "none"}, "cannot be read"),
        ({"ca": "none"}, "cannot be read"),
    ],
)
def test_wrong_options_are_an_error_at_start(tmp_path, options, expected):
    section = {"urls": ["ldap://h"], "base": "dc=x", **options}
    with pytest.raises(TableSpecError, match=expected):
        table("ldap:u", tmp_path, ldap={"u": section})

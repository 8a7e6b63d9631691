"""Mail servers of the local domains that are not this one, from a fake and a real name server."""

import asyncio

import pytest
from tools import nsd, peers

from gatepost.checks import mx
from gatepost.config.load import load_config
from gatepost.net.resolver import DnsResolver
from gatepost.session.assemble import find_lists, load_lists, make_setup
from gatepost.testing import FakeResolver

HOSTS = {
    "mx.example.com": ["192.0.2.1", "2001:db8::1"],
    "same.example.net": "192.0.2.1",
    "backup.example.net": ["198.51.100.7", "2001:db8:7::7"],
    "spamfilter.example.net": "198.51.100.8",
    "old.example.net": [],
}
CONFIG = """
[server]
hostname = "mx.example.com"
[[listen]]
address = "127.0.0.1:2525"
[[route]]
to = "discard:"
relay_for = []
[recipients]
domains = ["example.com"]
[traps]
lists = ["traps"]
"""


class Resolver(FakeResolver):
    async def close(self):
        pass


@pytest.fixture
def found(tmp_path, monkeypatch):
    """Return a function that returns the warnings for MX records and changes of CONFIG."""
    (tmp_path / "traps").write_text("hidden-page@example.com\n")

    def find(records, *changes, resolver=None, traps=True):
        text = CONFIG if traps else CONFIG.replace('"traps"', "")
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        (tmp_path / "gatepost.toml").write_text(text)
        config = load_config(tmp_path / "gatepost.toml")
        made = resolver or Resolver(mx=records, hosts=HOSTS, fail=["broken.example"])
        monkeypatch.setattr(mx, "make_resolver", lambda _: made)
        lists = find_lists(config)
        load_lists(lists)
        return list(mx.warnings(config, make_setup(config, lists, resolver=made), lists))

    return find


BACKUP = (20, "backup.example.net")
OWN = (10, "mx.example.com")


def test_a_secondary_mail_server_that_is_not_trusted_is_a_warning(found):
    [warning] = found({"example.com": [OWN, BACKUP]})
    assert warning.startswith(
        "traps: backup.example.net (198.51.100.7, 2001:db8:7::7) is a mail server of your domains"
    )


@pytest.mark.parametrize(
    "records",
    [
        [OWN],
        [(20, "MX.example.com."), (20, "backup.example.net")],
        [(20, "mx.example.com"), (10, "backup.example.net")],
        [OWN, (20, "same.example.net")],
        [OWN, (20, "old.example.net"), (30, "nowhere.example.net")],
        [(0, "")],
        [],
    ],
)
def test_servers_that_do_not_forward_are_no_warning(found, records):
    assert found({"example.com": records}) == []


def test_a_server_in_front_is_a_warning(found):
    [warning] = found({"example.com": [BACKUP]})
    assert "backup.example.net" in warning


def test_the_address_of_a_listener_is_this_server(found):
    change = ('address = "127.0.0.1:2525"', 'address = "198.51.100.7:25"')
    assert found({"example.com": [BACKUP]}, change) == []


@pytest.mark.parametrize(
    "change",
    [
        (
            'lists = ["traps"]',
            'lists = ["traps"]\ntrusted = ["198.51.100.0/24", "2001:db8:7::/48"]',
        ),
        ("relay_for = []", 'relay_for = ["198.51.100.7", "2001:db8:7::7"]'),
    ],
)
def test_a_trusted_server_is_no_warning(found, change):
    assert found({"example.com": [OWN, BACKUP]}, change) == []


def test_an_address_that_is_not_trusted_is_named_alone(found):
    change = ("relay_for = []", 'relay_for = ["198.51.100.7"]')
    [warning] = found({"example.com": [OWN, BACKUP]}, change)
    assert "(2001:db8:7::7)" in warning


def test_each_server_is_named_once_for_all_domains(found):
    change = ('["example.com"]', '["example.com", "example.org", ".sub.example", "[192.0.2.1]"]')
    records = {"example.com": [OWN, BACKUP], "example.org": [OWN, BACKUP]}
    assert len(found(records, change)) == 1


def test_a_revealing_name_is_a_warning_if_there_are_traps(found):
    records = {"example.com": [(5, "spamfilter.example.net"), OWN]}
    [warning] = found(records)
    assert warning.startswith('traps: the name spamfilter.example.net contains "spam"')
    assert found(records, traps=False) == []


def test_the_number_of_domains_is_limited(found):
    names = ", ".join(f'"d{at}.example"' for at in range(40))
    resolver = Resolver(hosts=HOSTS)
    assert found({}, ('"example.com"', names), resolver=resolver) == []
    assert len([one for one in resolver.asked if one.startswith("MX")]) == mx.MOST_DOMAINS


def test_without_a_domain_nothing_is_asked(found):
    resolver = Resolver()
    assert found({}, ('["example.com"]', '["*"]'), resolver=resolver) == []
    assert resolver.asked == []


def test_a_look_up_that_fails_is_a_warning(found):
    change = ('["example.com"]', '["broken.example"]')
    [warning] = found({}, change)
    assert warning.startswith("dns: the MX records of broken.example cannot be looked up: ")


def test_a_look_up_that_takes_too_long_is_a_warning(found, monkeypatch):
    class Slow(Resolver):
        async def mx(self, domain):
            await asyncio.Event().wait()

    monkeypatch.setattr(mx, "TIME", 0.0)
    [warning] = found({}, resolver=Slow(hosts=HOSTS))
    assert warning == "dns: the MX records of your domains have not all been found within 0 s"


HEAD = "$TTL 60\n@ SOA ns.test. root.test. 1 60 60 60 60\n@ NS ns.test.\n"
ZONE = """
ns      A    127.0.0.1
@       MX   10 mx.test.
@       MX   20 backup.test.
@       MX   30 alias.test.
mx      A    192.0.2.1
backup  AAAA 2001:db8:7::7
alias   CNAME mx
"""


def test_the_answers_of_a_real_name_server(found, tmp_path_factory):
    changes = [("mx.example.com", "mx.test"), ('["example.com"]', '["test"]')]
    try:
        with nsd.running(tmp_path_factory.mktemp("nsd"), {"test": HEAD + ZONE}) as port:
            resolver = DnsResolver([f"127.0.0.1:{port}"])
            [warning] = found({}, *changes, resolver=resolver)
    except peers.UnavailableError as error:
        pytest.skip(f"nsd is missing: {error}")
    assert warning.startswith("traps: backup.test (2001:db8:7::7) is a mail server")

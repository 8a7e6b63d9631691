"""`gatepost check`: name servers and DNS lists."""

import asyncio
import json

import pytest

from gatepost.checks import dns, mx
from gatepost.net.dns_probe import Probe
from gatepost.testing import FakeResolver

GOOD = Probe(0, validates=True)
UNSIGNED = Probe(0)
REFUSING = Probe(5)
SILENT = Probe(None)

SERVERS = {
    "127.0.0.1:53": GOOD,
    "8.8.8.8:53": GOOD,
    "[2606:4700:4700::1111]:53": GOOD,
    "192.0.2.1:53": UNSIGNED,
    "192.0.2.2:5353": SILENT,
    "192.0.2.3:53": REFUSING,
}
LISTS = {
    "2.0.0.127.good.example": "127.0.0.2",
    "test.domains.example": "127.0.1.2",
    "2.0.0.127.blocked.example": "127.255.255.254",
}


class Resolver(FakeResolver):
    """Has the entries of LISTS; an entry of slow.example takes for ever."""

    def __init__(self, _):
        super().__init__(
            a=LISTS,
            mx={"example.com": [(10, "mx.example.com"), (20, "backup.example.net")]},
            hosts={"mx.example.com": "192.0.2.1", "backup.example.net": "198.51.100.7"},
            fail=["2.0.0.127.dead.example"],
        )

    async def listed(self, what, zone):
        if zone == "slow.example":
            await asyncio.Event().wait()
        return await super().listed(what, zone)

    async def close(self):
        pass


PLUGIN = """
from gatepost import Plugin

class Checks(Plugin):
    class Options(Plugin.Options):
        lists: list[str] = []
        fails: bool = False

    uses_dns = True

    @property
    def dns_lists(self):
        if self.options.fails:
            raise ValueError("fault")
        return self.options.lists

    def on_rcpt(self, tx, rcpt):
        return None
"""


@pytest.fixture
def checked(configure, run, monkeypatch):
    """Return the warnings and the line about name servers, without a question to the network."""
    asked, forwarders = [], []

    def probe(server):
        asked.append(server)
        return SERVERS[server]

    monkeypatch.setattr(dns, "probe", probe)
    monkeypatch.setattr(dns, "system_servers", lambda: ["127.0.0.1:53"])
    monkeypatch.setattr(dns, "make_resolver", Resolver)
    monkeypatch.setattr(mx, "make_resolver", Resolver)

    def checked(
        servers=(), lists=None, target="discard:", *arguments, plugin=PLUGIN, more="", timeout="5s"
    ):
        options = f"{{ lists = {json.dumps(lists)} {more} }}"
        folder = configure(
            '[server]\nhostname = "mx.example.com"',
            '[recipients]\ndomains = ["example.com"]\nknown = ["bob@example.com"]',
            '[traps]\nlists = ["traps"]',
            f'[[route]]\nto = "{target}"',
            f'[dns]\nservers = {json.dumps(list(servers))}\ntimeout = "{timeout}"',
            "" if lists is None else f'[[plugin]]\nuse = "checks.py"\noptions = {options}',
        )
        (folder / "traps").write_text("hidden-page@example.com\n")
        (folder / "checks.py").write_text(plugin)
        found = json.loads(run("check", "--json", *arguments).stdout)
        assert found["errors"] == []
        warnings = found["warnings"]
        forwarders.extend(one for one in warnings if "is a mail server of your domains" in one)
        lines = [one["value"] for one in found["summary"] if one["name"] == "name servers"]
        return [one for one in warnings if one.startswith("dns")], lines, asked

    checked.forwarders = forwarders
    return checked


def test_a_time_out_that_is_too_long_for_plugins_is_a_warning(checked):
    (warning,) = checked(["127.0.0.1:53"], [], timeout="8s")[0]
    assert warning.startswith("dns.timeout: 2 lookups one after the other can take 32 s, ")
    assert "checks would fail" in warning


@pytest.mark.parametrize(("timeout", "uses_dns"), [("7500ms", "uses_dns = True"), ("8s", "")])
def test_other_time_outs_are_no_warning(checked, timeout, uses_dns):
    plugin = PLUGIN.replace("uses_dns = True", uses_dns)
    assert checked(["127.0.0.1:53"], [], "mx:", plugin=plugin, timeout=timeout)[0] == []


def test_nothing_is_asked_if_nothing_uses_the_dns(checked):
    plugin = PLUGIN.replace("uses_dns = True", "")
    assert checked(["192.0.2.2:5353"], [], plugin=plugin) == ([], [], [])


def test_all_is_asked_at_the_start_of_plugins(checked):
    plugin = PLUGIN.replace("uses_dns = True", "")
    _, lines, asked = checked(["127.0.0.1"], [], "discard:", "--start", plugin=plugin)
    assert lines == ["127.0.0.1:53 (checks DNSSEC)"]
    assert asked == ["127.0.0.1:53"]


@pytest.mark.parametrize(("lists", "target"), [([], "discard:"), (None, "mx:")])
def test_plugins_and_routes_state_that_they_use_the_dns(checked, lists, target):
    warnings, lines, asked = checked((), lists, target)
    assert (warnings, lines) == ([], ["127.0.0.1:53 (checks DNSSEC)"])
    assert asked == ["127.0.0.1:53"]


def test_a_server_that_does_not_answer_is_a_warning(checked):
    warnings, lines, _ = checked(["192.0.2.2:5353"], ["good.example"])
    assert warnings == ["dns: 192.0.2.2:5353 does not answer"]
    assert lines == ["192.0.2.2:5353 (no answer)"]


def test_a_server_that_refuses_the_question_is_a_warning(checked):
    warnings, lines, _ = checked(["192.0.2.3"], ["good.example"])
    problem = "answers with the error REFUSED: expected a resolver for this machine"
    assert warnings == [f"dns: 192.0.2.3:53 {problem}"]
    assert lines == ["192.0.2.3:53 (error REFUSED)"]


def test_a_server_that_does_not_check_signatures_is_a_warning(checked):
    warnings, lines, _ = checked(["192.0.2.1"], [])
    assert [one.partition(":53 ")[2][:40] for one in warnings] == [
        "does not check DNSSEC signatures: answer"
    ]
    assert lines == ["192.0.2.1:53 (does not check DNSSEC)"]


PUBLIC = ["8.8.8.8", "2606:4700:4700::1111"]


def test_a_public_resolver_is_no_warning_without_dns_lists(checked):
    warnings, lines, _ = checked(PUBLIC, [])
    assert warnings == []
    assert ", ".join(lines).split(", [") == [
        "8.8.8.8:53 (checks DNSSEC, public resolver of Google)",
        "2606:4700:4700::1111]:53 (checks DNSSEC, public resolver of Cloudflare)",
    ]


def test_a_public_resolver_is_a_warning_with_dns_lists(checked):
    warnings, _, _ = checked(PUBLIC, ["good.example"])
    assert [one.partition(", which")[0] for one in warnings] == [
        "dns: 8.8.8.8:53 is a public resolver of Google",
        "dns: [2606:4700:4700::1111]:53 is a public resolver of Cloudflare",
    ]


def test_mail_servers_that_forward_are_looked_up_if_a_name_server_answers(checked):
    checked(["127.0.0.1"], [])
    assert [one.partition(" is ")[0] for one in checked.forwarders] == [
        "traps: backup.example.net (198.51.100.7)"
    ]


def test_mail_servers_are_not_looked_up_if_no_name_server_answers(checked):
    checked(["192.0.2.2:5353"], [])
    assert checked.forwarders == []


def test_no_more_than_three_servers_are_asked(checked):
    _, _, asked = checked(["127.0.0.1", "127.0.0.1", "127.0.0.1", "192.0.2.2:5353"], [])
    assert asked == ["127.0.0.1:53"] * 3


def test_a_system_without_a_name_server_is_a_warning(checked, monkeypatch):
    monkeypatch.setattr(dns, "system_servers", list)
    warnings, lines, _ = checked((), ["good.example"])
    assert [one[:38] for one in warnings] == ["dns: this system has no name server: e"]
    assert lines == ["none"]


def test_dns_lists_must_have_their_test_entries(checked):
    zones = ["good.example", "domains.example", "blocked.example", "dead.example", "gone.example"]
    warnings, _, _ = checked((), zones)
    assert warnings[0].startswith(
        "dns: the list blocked.example cannot be used: 2.0.0.127.blocked."
    )
    assert warnings[0].endswith("127.255.255.254 (queries by a public resolver are refused)")
    assert warnings[1:] == [
        "dns: the list dead.example cannot be used: 2.0.0.127.dead.example: no answer",
        "dns: the list gone.example has no test entry: it may have ended, or the name is misspelt",
    ]


def test_lists_that_do_not_answer_in_time_are_a_warning(checked, monkeypatch):
    monkeypatch.setattr(dns, "LISTS_TIME", 0.0)
    warnings, _, _ = checked((), ["slow.example"])
    assert warnings == ["dns: not all DNS lists have answered within 0 s"]


def test_a_plugin_that_cannot_name_its_lists_is_a_warning(checked):
    warnings, _, _ = checked((), [], more=", fails = true")
    assert [one.endswith("ValueError: fault") for one in warnings] == [True]
    assert warnings[0].startswith("dns: plugin checks: dns_lists failed: ")

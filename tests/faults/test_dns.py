"""Good mail while the DNS is broken: it is accepted, in bounded time, and the log states why."""

import asyncio
import re

import pytest
from structlog.testing import capture_logs
from tests.faults.gateway import (
    ALLOW,
    DOMAIN_LIST,
    FORWARDED,
    INSIDE,
    LISTS,
    SIGNED,
    UNSIGNED,
    Gateway,
    events,
)
from tests.net.name_server import FAULTS, SERVFAIL, a

ZONES = (*LISTS, ALLOW, DOMAIN_LIST)
OF_DNS = ("iprev", "helo", "dnswl", "dnsbl", "rhsbl", "spf", "sender_domain", "dkim", "dmarc")
UNKNOWN = dict.fromkeys(OF_DNS, "temperror")
GOOD = {**dict.fromkeys(OF_DNS, "pass"), **dict.fromkeys(("dnswl", "dnsbl", "rhsbl"), "none")}
# One line of each plugin with lists: these lists are not used until they have passed their test.
UNTESTED = {"DNS list failed its test": 3}
SILENT = {**UNTESTED, "name servers unavailable": 1}

# What plugins find with lists that answer everything.
LYING_LIST = "temperror"
# What plugins find about good mail, and the lines of the log.
FOUND = {
    "silent": (UNKNOWN, SILENT),
    "refused": (UNKNOWN, UNTESTED),
    "servfail": (UNKNOWN, UNTESTED),
    "other type": (UNKNOWN, UNTESTED),
    "other name": (UNKNOWN, UNTESTED),
    "alias loop": (UNKNOWN, UNTESTED),
    "truncated": (UNKNOWN, SILENT),
    "huge text": (GOOD, {}),
    "malformed": (UNKNOWN, UNTESTED),
    "noise": (UNKNOWN, UNTESTED),
}


def run(test, **options):
    """Run a test with a gateway; return the events of warnings and errors in the log."""

    async def inner():
        async with asyncio.timeout(60), Gateway(**options) as gateway:
            await test(gateway)

    with capture_logs() as logs:
        asyncio.run(inner())
    return events(logs)


def found_of(gateway):
    return {name: value for name, value in gateway.results().items() if name in OF_DNS}


def explains(story, name, value):
    """Return whether a story has the result of a plugin."""
    return re.search(rf"^{name}\s+{value}\b", story, re.MULTILINE)


def test_good_mail_passes_all_checks_while_the_dns_works():
    async def test(gateway):
        assert (await gateway.send())[-1].startswith("250 ")
        assert found_of(gateway) == GOOD
        assert (await gateway.send(FORWARDED))[-1].startswith("250 ")
        assert (gateway.results()["dmarc"], gateway.results()["arc"]) == ("fail", "pass")

    assert run(test) == {}


def test_every_fault_has_an_expected_result():
    assert set(FOUND) == set(FAULTS)


@pytest.mark.parametrize("name", FOUND)
def test_a_fault_of_the_dns_refuses_no_mail_and_is_explained(name):
    found, lines = FOUND[name]

    async def test(gateway):
        for content in (FORWARDED, SIGNED):
            assert (await gateway.send(content))[-1].startswith("250 ")
        assert found_of(gateway) == found
        story = gateway.explained()
        assert [one for one in OF_DNS if not explains(story, one, found[one])] == []

    # Only silence needs a short time-out.
    timeout = 0.2 if name == "silent" else 20.0
    assert run(test, fault=FAULTS[name], timeout=timeout) == lines


@pytest.mark.parametrize("answer", ["0.0.0.0", "203.0.113.9", "127.0.0.2", "127.255.255.254"])
def test_lists_that_answer_everything_are_not_used(answer):
    def lie(query, server):
        if query.kind == "A" and query.name.endswith(ZONES):
            return query.reply([a(answer)])
        return server.usual(query)

    async def test(gateway):
        for content in (SIGNED, FORWARDED):
            assert (await gateway.send(content))[-1].startswith("250 ")
        unused = {one: gateway.results()[one] for one in ("dnsbl", "dnswl", "rhsbl")}
        assert set(unused.values()) == {LYING_LIST}

    assert set(run(test, fault=lie)) == {"DNS list failed its test"}


@pytest.mark.parametrize("answer", ["0.0.0.0", "203.0.113.9", "127.255.255.254"])
def test_a_list_that_begins_to_lie_after_its_test_refuses_no_mail(answer):
    def lie(query, server):
        if query.kind == "A" and query.name.startswith("7.100.51.198."):
            return query.reply([a(answer)])
        return server.usual(query)

    async def test(gateway):
        assert (await gateway.send())[-1].startswith("250 ")

    assert run(test, fault=lie) == {}


def test_a_client_that_needs_no_dns_does_not_wait_for_one_that_does():
    async def test(gateway):
        gateway.dns.gate.clear()
        outside = asyncio.ensure_future(gateway.send())
        await gateway.dns.waiting.wait()
        # No reply of the name server can come, so none of these needs one.
        for _ in range(3):
            assert (await gateway.send(UNSIGNED, peer=INSIDE, login=True))[-1].startswith("250 ")
        assert not outside.done()
        gateway.dns.gate.set()
        assert (await outside)[-1].startswith("250 ")

    assert run(test) == {}


def test_each_plugin_that_asks_the_dns_states_it():
    class Asked:
        def __init__(self, name, inner):
            self.name, self.inner = name, inner

        def __getattr__(self, method):
            asking.add(self.name)
            return getattr(self.inner, method)

    asking = set()

    async def test(gateway):
        plugins = [one.plugin for one in gateway.server.setup.plugins.installed]
        for one in plugins:
            one.resolver = Asked(one.name, one.resolver)
        for content in (SIGNED, FORWARDED):
            await gateway.send(content)
        assert asking == {one.name for one in plugins if one.uses_dns}

    assert run(test) == {}


def test_one_failing_name_refuses_no_good_mail():
    """Every name that a good message needs fails once, alone."""
    failing = []

    def fault(query, server):
        if query.name in failing:
            return query.reply(code=SERVFAIL)
        return server.usual(query)

    async def names(content):
        async with Gateway() as gateway:
            await gateway.send(content)
            return sorted(gateway.dns.asked)

    async def every_name():
        for content in (SIGNED, FORWARDED):
            for name in await names(content):
                failing[:] = [name]
                async with Gateway(fault=fault) as gateway:
                    reply = (await gateway.send(content))[-1]
                    assert reply[0] in "24", (name, reply)

    with capture_logs():
        asyncio.run(every_name())


def test_mail_is_checked_again_when_the_dns_answers_again():
    async def test(gateway):
        gateway.dns.fault = FAULTS["servfail"]
        await gateway.send()
        gateway.dns.fault = None
        gateway.resolver._cache._entries.clear()  # failures are kept for some seconds
        gateway.resolver._cache.octets = 0
        await gateway.server.advance(61)  # lists are tested again
        await gateway.send()
        assert found_of(gateway) == GOOD

    lines = run(test)
    assert lines == {**UNTESTED, "DNS list passed its test": 3}

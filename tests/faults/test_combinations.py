"""Any plugins of the policy, in any order, with any names that cannot be looked up."""

import asyncio

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs
from tests.faults.gateway import (
    CLIENT,
    FORWARDED,
    NAMES,
    OPTIONS,
    SIGNED,
    Answers,
    events,
    plugin,
)

from gatepost import Plugin
from gatepost.session.assemble import SetupError
from gatepost.testing import MemoryServer, VirtualClock

TRAP = "trap@example.com"
FAILING = sorted({*NAMES, "7.100.51.198.bl1.example", "_dmarc.org", "_dmarc.example.org"})
# What a plugin needs of others, which it must not lack.
NEEDS = {"dmarc": {"spf", "dkim"}}
# These read what others have found.
READERS = ("score", "reputation", "greylist", "rhsbl", "dmarc", "rate_limit")


class Seen(Plugin):
    """Keeps the results of messages that were accepted."""

    def __init__(self):
        super().__init__()
        self.results = []

    def on_delivered(self, tx):
        self.results = [(one.name, one.value, dict(one.facts)) for one in tx.results]


def subsets(names):
    """Return lists of plugins in any order, with those that they need."""
    chosen = st.lists(st.sampled_from(names), unique=True).map(with_needs)
    return chosen.flatmap(lambda one: st.permutations(sorted(one)))


def with_needs(names):
    needed = {more for name in names for more in NEEDS.get(name, ())}
    return {*names, *needed}


async def send(server, content, recipients):
    client = server.connect(CLIENT)
    try:
        await client.reply()
        envelope = [f"RCPT TO:<{one}>" for one in recipients]
        for line in ("EHLO mail.client.example", "MAIL FROM:<a@client.example>", *envelope, "DATA"):
            client.send(f"{line}\r\n".encode())
            await client.reply()
        if client.replies[-1].startswith("354"):
            client.send(content.replace(b"\r\n.", b"\r\n..") + b".\r\n")
            await client.reply()
        return client.replies
    finally:
        await client.close()


def played(names, failing, content, recipients=("user@example.com",)):
    """Return the replies, what was found, and the events of the log."""
    seen = Seen()

    async def run():
        plugins = [*(plugin(name) for name in names), seen]
        async with MemoryServer(
            plugins,
            traps=[TRAP],
            clock=VirtualClock("2024-01-01"),
            resolver=Answers(failing),
        ) as server:
            return await send(server, content, recipients)

    with capture_logs() as logs:
        replies = asyncio.run(run())
    return replies, seen.results, events(logs)


MANY = settings(
    max_examples=40,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


@MANY
@example(list(OPTIONS), {"dummy._domainkey.example.org"}, FORWARDED)
@given(
    subsets(list(OPTIONS)), st.sets(st.sampled_from(FAILING)), st.sampled_from([SIGNED, FORWARDED])
)
def test_good_mail_is_never_refused_for_good_and_no_plugin_fails(names, failing, content):
    replies, _, log = played(names, failing, content)
    refused = [one for one in replies if one.startswith("5")]
    assert refused == [] or (is_unforwarded(names, content) and "DMARC: d1" in refused[0])
    assert "plugin failed" not in log


def is_unforwarded(names, content):
    """Return whether DMARC refuses a message that only a trusted forwarder can save."""
    return content is FORWARDED and "dmarc" in names and "arc" not in names


@MANY
@given(subsets(list(OPTIONS)), st.sets(st.sampled_from(FAILING)))
def test_a_trap_refuses_the_message_at_data_whatever_plugins_find(names, failing):
    replies, _, log = played(names, failing, SIGNED, ["user@example.com", TRAP])
    assert replies[-1].startswith("554 5.7.1 ")
    assert "plugin failed" not in log


@MANY
@given(subsets([one for one in OPTIONS if one not in READERS]), st.sets(st.sampled_from(FAILING)))
def test_plugins_find_together_what_each_finds_alone(names, failing):
    _, together, _ = played(names, failing, SIGNED)
    alone = [result for name in names for result in played([name], failing, SIGNED)[1]]
    assert sorted(map(str, together)) == sorted(map(str, alone))


def test_dmarc_needs_the_plugins_whose_results_it_reads():
    with pytest.raises(SetupError, match="dmarc: needs"):
        played(["dmarc"], (), SIGNED)

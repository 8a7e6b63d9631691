"""The memory of trap hits."""

from email import message_from_bytes

import pytest
from tests.plugins.states import Add

from gatepost import Plugin
from gatepost.plugins.trap_memory import TrapMemory
from gatepost.testing import MemoryStore, play

PEER, NEIGHBOUR, OTHER = ("203.0.113.7", 4711), ("203.0.113.200", 4711), ("198.51.100.9", 4711)
HELLO = """
    S: 220
    C: EHLO client.example
    S: 250
"""
TRAP = """
    C: MAIL FROM:<a@client.example>
    S: 250
    C: RCPT TO:<trap@example.com>
    S: 250
    C: DATA
    S: 554
"""
MAIL = """
    C: MAIL FROM:<b@other.example>
    S: 250
    C: RCPT TO:<user@example.com>
    S: 250
    C: DATA
    S: 354
    C: Subject: hello
    C: X-Trap-Memory: forged
    C:
    C: text
    C: .
"""
TRAPS = ["trap@example.com"]
# The replies to a hit depend on the standing.
HITS = {
    "acquainted": TRAP.replace("554", "354") + "    C: text\n    C: .\n    S: 554\n",
    "trusted": TRAP.partition("S: 250\n    C: DATA")[0] + "S: 550\n",
}


class Seen(Plugin):
    """Keeps the result of each message."""

    after = frozenset({"trap_memory"})

    def start(self):
        self.values = []

    def on_message(self, tx):
        found = tx.results.get("trap_memory")
        self.values.append(None if found is None else (found.value, found.score))


class Network:
    """One store, one clock, and clients one after the other."""

    def __init__(self):
        self.store = MemoryStore()

    def play(
        self,
        text,
        *plugins,
        peer=PEER,
        now="2024-01-01T00:00",
        traps=TRAPS,
        config=None,
        **options,
    ):
        self.seen = Seen()
        chain = [*plugins, TrapMemory(**options), self.seen]
        played = {"traps": traps, "store": self.store, "peer": peer, "now": now}
        return play(HELLO + text, chain, config=config or {}, **played)

    def mark(self, **options):
        """Return the field of a message that is accepted."""
        (message,) = self.play(f"{MAIL}S: 250", **options).messages
        return message_from_bytes(message.content).get_all("X-Trap-Memory", [])


@pytest.fixture
def network():
    return Network()


def test_a_neighbour_of_a_client_that_hit_a_trap_is_marked(network):
    network.play(TRAP)
    assert network.mark(peer=NEIGHBOUR, now="2024-01-01T05:00") == ["hit 5 hours ago"]
    assert network.seen.values == [("marked", 3.0)]


def test_another_network_is_not_marked(network):
    network.play(TRAP)
    assert network.mark(peer=OTHER) == []
    assert network.seen.values == [None]


@pytest.mark.parametrize(("day", "fields"), [("07", ["hit 6 days ago"]), ("09", [])])
def test_a_hit_is_dropped_after_a_week(network, day, fields):
    network.play(TRAP)
    assert network.mark(now=f"2024-01-{day}T00:00") == fields


def test_the_same_connection_is_marked_at_once(network):
    (message,) = network.play(f"{TRAP}{MAIL}S: 250").messages
    assert b"X-Trap-Memory: hit less than an hour ago" in message.content


def test_a_hit_counts_however_the_transaction_ends(network):
    network.play(TRAP.replace("C: DATA\n    S: 554", "C: RSET\n    S: 250"))
    assert network.mark() != []


def test_messages_can_be_refused_for_a_day(network):
    network.play(TRAP)
    refused = f"{MAIL}S: 554 5.7.1 Message refused by local policy*"
    network.play(refused, refuse="deny", now="2024-01-01T23:00")
    network.play(f"{MAIL}S: 250", refuse="deny", now="2024-01-02T02:00")


def test_a_bounce_teaches_nothing(network):
    network.play(TRAP.replace("a@client.example", ""))
    assert network.mark() == []


@pytest.mark.parametrize(
    ("entry", "sender"),
    [
        ("trap@example.com", "mailer-daemon@client.example"),
        ("trap@example.com class=learned", "bounces-7@client.example"),
        ("trap@example.com class=recycled", "a@client.example"),
        ("trap@example.com class=typo", "a@client.example"),
    ],
)
def test_bounces_and_mistakes_of_a_person_teach_nothing(network, entry, sender):
    hit = TRAP.replace("a@client.example", sender).replace(
        "S: 250\n    C: DATA\n    S: 554", "S: *"
    )
    network.play(hit, traps=[entry])
    assert network.mark() == []


def test_a_trap_that_any_person_can_guess_teaches_nothing(network):
    """Anyone can enter such an address into a form of an honest sender."""
    hit = TRAP.replace("trap@", "info@").replace("S: 250\n    C: DATA\n    S: 554", "S: 550")
    network.play(hit, traps=["info@example.com class=seeded"])
    assert network.mark() == []


@pytest.mark.parametrize(
    ("field", "taught"), [("Auto-Submitted: auto-replied", False), ("X: y", True)]
)
def test_an_automatic_answer_teaches_nothing(network, field, taught):
    end = f"354\n    C: {field}\n    C:\n    C: text\n    C: .\n    S: 554"
    network.play(TRAP.replace("554", end), config={"traps": {"verdict": "end"}})
    assert bool(network.mark()) is taught


@pytest.mark.parametrize("standing", ["acquainted", "trusted"])
def test_senders_with_standing_are_not_marked(network, standing):
    network.play(TRAP)
    network.play(f"{MAIL}S: 250", Add(mail=[("standing", standing, {})]))
    assert network.seen.values == [None]


@pytest.mark.parametrize(
    ("standing", "fields"), [("acquainted", ["hit less than an hour ago"]), ("trusted", [])]
)
def test_a_hit_that_refuses_the_message_is_remembered_for_all_but_trusted_senders(
    network, standing, fields
):
    network.play(HITS[standing], Add(mail=[("standing", standing, {})]))
    assert network.mark() == fields


def test_a_proven_domain_is_remembered_in_other_networks(network):
    passed = {"mail": [("spf", "pass", {})]}
    network.play(TRAP, Add(**passed))
    network.play(
        f"{MAIL}S: 250".replace("other.example", "client.example"), Add(**passed), peer=OTHER
    )
    assert network.seen.values == [("marked", 3.0)]
    network.play(f"{MAIL}S: 250".replace("other.example", "client.example"), peer=OTHER)
    assert network.seen.values == [None]


def test_a_network_of_a_big_provider_is_never_remembered(network):
    google = Add(mail=[("iprev", "pass", {"name": "mail-a.google.com"})])
    network.play(TRAP, google)
    assert network.mark() == []


def test_a_network_of_many_old_domains_is_shared(network):
    for month in ("01", "02"):
        for number in range(5):
            text = f"{MAIL}S: 250".replace("other.example", f"tenant{number}.example")
            network.play(text, Add(mail=[("spf", "pass", {})]), now=f"2024-{month}-03T00:00")
    network.play(TRAP, now="2024-02-04T00:00")
    assert network.mark(now="2024-02-04T01:00") == []


def test_new_domains_do_not_make_a_network_shared(network):
    for number in range(9):
        text = f"{MAIL}S: 250".replace("other.example", f"new{number}.example")
        network.play(text, Add(mail=[("spf", "pass", {})]))
    network.play(TRAP, now="2024-01-01T01:00")
    assert network.mark(now="2024-01-01T02:00") == ["hit 1 hour ago"]


def test_ipv6_is_remembered_by_the_network_of_the_host_and_of_the_customer(network):
    network.play(TRAP, peer=("2001:db8:1:2::3", 4711))
    assert network.mark(peer=("2001:db8:1:9::1", 4711)) != []
    assert network.mark(peer=("2001:db8:2::1", 4711)) == []


def test_without_the_store_nothing_is_marked(play_silent):
    played = play_silent(HELLO + TRAP + MAIL + "S: 250", [TrapMemory()], peer=PEER, traps=TRAPS)
    (message,) = played.messages
    assert b"X-Trap-Memory" not in message.content


@pytest.mark.parametrize(
    "text", ["", "nonsense", "[1]", '{"a": 1}', '{"a": [1]}', '{"a": ["x", 2]}']
)
def test_a_damaged_value_in_the_store_is_no_shared_network(network, text):
    import asyncio

    async def damage():
        await network.store.scope("trap_memory").set("shared 2cb0071", text)

    network.play(TRAP)
    asyncio.run(damage())
    assert network.mark() != []

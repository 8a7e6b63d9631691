"""Registered traps in a session: states, exemptions, expiry, and proof that they do not exist."""

import asyncio

import pytest
from tests.session.dialogue import OPEN, REFUSED, config, plugin

from gatepost.delivery.routes import Route, Router
from gatepost.delivery.target import Target
from gatepost.ledger.records import Transaction
from gatepost.model.lookup import local, unknown
from gatepost.model.reply import Reply
from gatepost.plugin.trap_registry import Traps
from gatepost.registry.file import FileRegistry
from gatepost.store.errors import StoreError
from gatepost.tables.known import KnownTables
from gatepost.testing import MemoryRegistry, MemoryServer, VirtualClock, play

MAIL = "C: MAIL FROM:<sender@client.example>\nS: 250\n"
USER, TRAP = "one@example.com", "kim.larsen@example.com"
OURS = {"domains": ["example.com"], "known": [USER]}
UNKNOWN = "550 5.1.1 No such mailbox [*]"
CONTENT = "C: DATA\nS: 354\nC: Subject: x\nC: .\nS: "
ACCEPTED, REFUSED_AT_END = f"{CONTENT}250\n", f"{CONTENT}{REFUSED}\n"
AT_DATA = f"C: DATA\nS: {REFUSED}\n"


def known(**more):
    return config(recipients=OURS, **more)


def rcpt(address, reply):
    return f"C: RCPT TO:<{address}>\nS: {reply}\n"


def message(to_trap, end):
    return OPEN + MAIL + rcpt(USER, 250) + rcpt(TRAP, to_trap) + end


def with_spf(value):
    return plugin(name="spf", on_mail=lambda tx, _: tx.results.add("spf", value) and None)


@pytest.mark.parametrize(
    ("words", "to_trap", "end"),
    [
        ("state=armed", 250, AT_DATA),
        ("class=learned state=armed", 250, REFUSED_AT_END),
        ("class=recycled state=armed", UNKNOWN, ACCEPTED),
        ("state=shadow", UNKNOWN, ACCEPTED),
        ("state=retired", UNKNOWN, ACCEPTED),
        ("", UNKNOWN, ACCEPTED),  # the line was cut off
        ("expires=2024-01-02 state=armed", 250, AT_DATA),
        ("expires=2024-01-01 state=armed", UNKNOWN, ACCEPTED),
        ("expires=2023-12-31 state=armed", UNKNOWN, ACCEPTED),
    ],
)
def test_the_state_of_a_registered_trap_decides(words, to_trap, end):
    play(
        message(to_trap, end),
        config=known(),
        registry=MemoryRegistry(f"{TRAP} {words}"),
        now="2024-01-01",
    )


@pytest.mark.parametrize(
    ("words", "end"),
    [
        ("state=shadow", ACCEPTED),
        ("state=retired", ACCEPTED),
        ("state=armed", AT_DATA),
        ("expires=2023-12-31", ACCEPTED),
        ("", AT_DATA),
    ],
)
def test_an_entry_of_a_list_can_have_a_state_too(words, end):
    play(message(250, end), traps=[f"{TRAP} {words}"], config=config(), now="2024-01-01")


def test_a_list_counts_before_the_registry():
    registry = MemoryRegistry(f"{TRAP} state=retired")
    play(message(250, AT_DATA), traps=[TRAP], config=known(), registry=registry)


@pytest.mark.parametrize(
    ("exempt", "spf", "is_exempt"),
    [
        ("client.example", "pass", True),
        ("other.example,client.example", "pass", True),
        ("example", "pass", True),
        ("ent.example", "pass", False),
        ("other.example", "pass", False),
        ("client.example", "fail", False),
        ("client.example", "none", False),
    ],
)
def test_a_trap_has_no_effect_for_an_exempt_domain_that_spf_has_proven(exempt, spf, is_exempt):
    registry = MemoryRegistry(f"{TRAP} exempt={exempt} state=armed")
    to_trap, end = (UNKNOWN, ACCEPTED) if is_exempt else (250, AT_DATA)
    play(message(to_trap, end), [with_spf(spf)], config=known(), registry=registry)


# A learned trap: proof that the address does not exist

LEARNED = MemoryRegistry(f"{TRAP} class=learned state=armed")


def test_without_a_source_of_existing_recipients_a_learned_trap_has_no_effect():
    played = play(message(250, ACCEPTED), config=config(), registry=LEARNED)
    assert played.messages[0].recipients == [USER, TRAP]


def test_a_look_up_proves_that_a_learned_trap_does_not_exist():
    directory = plugin(on_lookup=lambda _tx, one: local() if one.user == "one" else unknown())
    play(message(250, REFUSED_AT_END), [directory], config=config(), registry=LEARNED)


class NextHop(Target):
    """A next hop that refuses the trap with a reply, or None if it has it or gives no answer."""

    can_verify = True

    def __init__(self, answer):
        self.answer = answer

    def deliver(self, delivery):
        pass

    async def verify(self, _tx, recipient):
        return self.answer if recipient.user == "kim.larsen" else None


@pytest.fixture
def next_hop(monkeypatch):
    """Return a function that lets all recipients have a next hop with this answer."""

    def use(answer):
        router = Router([(["*"], Route(NextHop(answer), "a:"))], hostname="mx.example.com")
        made = "gatepost.session.assemble.make_router"
        monkeypatch.setattr(made, lambda *_args, **_options: router)

    return use


def test_the_next_hop_proves_that_a_learned_trap_does_not_exist(next_hop):
    next_hop(Reply(550, "User unknown", "5.1.1"))
    play(message(250, REFUSED_AT_END), config=config(), registry=LEARNED)


def test_a_next_hop_that_has_the_address_or_gives_no_answer_proves_nothing(next_hop):
    next_hop(None)
    play(message(250, ACCEPTED), config=config(), registry=LEARNED)


def test_another_refusal_of_the_next_hop_proves_nothing(next_hop):
    next_hop(Reply(552, "Mailbox full", "5.2.2"))
    play(message("552 5.2.2 Mailbox full [*]", ACCEPTED), config=config(), registry=LEARNED)


def test_a_hit_without_proof_is_recorded_as_one_without_effect():
    found = []

    async def scenario():
        server = MemoryServer(config=config(), registry=LEARNED, records=found.append)
        async with server:
            client = server.connect()
            client.send(
                f"EHLO x\r\nMAIL FROM:<a@x.example>\r\nRCPT TO:<{TRAP}>\r\nRSET\r\n".encode()
            )
            await client.close()

    asyncio.run(scenario())
    [trap] = [one for tx in found if isinstance(tx, Transaction) for one in tx.traps]
    assert (trap.trap_class, trap.treatment, trap.shadow) == (
        "learned",
        "refuse all after the content",
        True,
    )


# A mailbox at the address of a trap


def has_all(*_args):
    return local()


def test_a_mailbox_that_a_look_up_finds_retires_a_registered_trap():
    registry = MemoryRegistry(f"{TRAP} state=armed")
    directory = plugin(on_lookup=has_all)
    played = play(message(250, ACCEPTED), [directory], config=config(), registry=registry)
    assert played.messages[0].recipients == [USER, TRAP]
    assert registry.find(TRAP).state == "retired"


def test_a_mailbox_of_a_trapped_domain_does_not_retire_the_domain():
    registry = MemoryRegistry("@example.com state=armed")
    directory = plugin(on_lookup=has_all)
    play(message(250, ACCEPTED), [directory], config=config(), registry=registry)
    assert registry.find("@example.com").state == "armed"


def test_a_mailbox_at_the_address_of_a_listed_trap_is_the_administrators_to_decide():
    directory = plugin(on_lookup=has_all)
    play(message(250, AT_DATA), [directory], traps=[TRAP], config=config())


def test_a_known_recipient_is_no_registered_trap():
    registry = MemoryRegistry(f"{USER} state=armed")
    play(message(UNKNOWN, ACCEPTED), config=known(), registry=registry)


# Plugins


def test_a_plugin_registers_arms_exempts_and_retires_traps():
    registry, seen = MemoryRegistry(), []

    async def on_data(tx):
        await one.plugin.traps.add(TRAP, reason="seen often")
        await one.plugin.traps.set_state(TRAP, "armed", reason="enough evidence")
        await one.plugin.traps.exempt(TRAP, "Partner.example", reason="known sender")
        seen.append(one.plugin.traps.find(TRAP))
        await one.plugin.traps.note(TRAP, reason="exposed")
        await one.plugin.traps.set_state(TRAP, "retired", reason="enough")

    one = plugin(name="my learner", on_data=on_data)
    play(message(UNKNOWN, ACCEPTED), [one], config=known(), registry=registry)
    assert seen[0].exempt == ("partner.example",)
    assert (seen[0].state, seen[0].trap_class, seen[0].by) == ("armed", "learned", "my-learner")
    states = [(trap.state, trap.reason) for trap in registry.history(TRAP)]
    assert states == [
        ("shadow", "seen often"),
        ("armed", "enough evidence"),
        ("armed", "known sender"),
        ("armed", "exposed"),
        ("retired", "enough"),
    ]


def test_a_registry_that_cannot_be_written_is_a_store_error(tmp_path):
    (tmp_path / "registry").mkdir()
    traps = Traps(FileRegistry(tmp_path), (), KnownTables(), VirtualClock(), "learner")

    async def learn():
        await traps.add(TRAP, reason="seen often")

    with pytest.raises(StoreError, match="Is a directory"):
        asyncio.run(learn())


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (USER, "it is a known recipient"),
        ("ones@example.com", "it is one typing error away from one@example.com"),
        ("abuse@example.com", "it is a role address"),
        ("no address", "expected an address or @domain|expected local-part@domain"),
    ],
)
def test_a_plugin_cannot_arm_what_looks_like_a_mailbox(address, expected):
    registry = MemoryRegistry()

    async def on_data(_tx):
        with pytest.raises(ValueError, match=expected):
            await one.plugin.traps.add(address, reason="x", state="armed")

    one = plugin(on_data=on_data)
    play(message(UNKNOWN, ACCEPTED), [one], config=known(), registry=registry)
    assert list(registry.traps()) == []

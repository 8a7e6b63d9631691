"""Tables of known recipients: `recipients.known = ["sql:users"]`."""

import asyncio

import pytest
from tests.session.dialogue import OPEN, REFUSED, config, plugin

from gatepost.model.lookup import local, unknown
from gatepost.server.memory import MemoryServer
from gatepost.session.assemble import SetupError
from gatepost.store.errors import StoreError
from gatepost.tables.known import KnownTables
from gatepost.tables.table import Table, TableError
from gatepost.testing import MemoryRegistry, MemoryTable, play

MAIL = "C: MAIL FROM:<sender@client.example>\nS: 250\n"
USER, TRAP = "one@example.com", "kim.larsen@example.com"
UNKNOWN = "550 5.1.1 No such mailbox [*]"
FAILED = "451 4.3.0 Temporary lookup failure [*]"
CONTENT = "C: DATA\nS: 354\nC: Subject: x\nC: .\nS: "
ACCEPTED, REFUSED_AT_END = f"{CONTENT}250\n", f"{CONTENT}{REFUSED}\n"
AT_DATA = f"C: DATA\nS: {REFUSED}\n"
KNOWN = config(recipients={"known": ["sql:users"]})
BOTH = config(recipients={"known": ["two@example.com", "sql:users", "ldap:users"]})


class WaitingTable(MemoryTable):
    """A table that answers in a later turn of the event loop."""

    def find(self, keys):
        return self._later(keys)

    async def _later(self, keys):
        await asyncio.sleep(0)
        return super().find(keys)


class LocalTable(MemoryTable):
    """A table without a cache, as a file."""

    is_local = True


KINDS = [MemoryTable, WaitingTable, LocalTable]


def rcpt(address, reply=250):
    return f"C: RCPT TO:<{address}>\nS: {reply}\n"


def message(to_trap, end):
    return OPEN + MAIL + rcpt(USER) + rcpt(TRAP, to_trap) + end


def users(*more, kind=MemoryTable):
    return {"sql:users": kind(dict.fromkeys([USER, *more], ""))}


def failing(kind=MemoryTable):
    table = kind({USER: ""})
    table.failure = "no connection"
    return table


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("protocol", ["smtp", "lmtp"])
def test_a_recipient_exists_if_the_table_has_it(kind, protocol):
    tables = users("three+tag@example.com", "@trapped.example.com", kind=kind)
    play(
        OPEN.replace("EHLO", "LHLO" if protocol == "lmtp" else "EHLO")
        + MAIL
        + rcpt(USER)
        + rcpt("One+tag@EXAMPLE.com")
        + rcpt("three+tag@example.com")
        + rcpt("three@example.com", UNKNOWN)
        + rcpt("anything@trapped.example.com")
        + rcpt("two@example.com", UNKNOWN)
        + rcpt("postmaster@example.com")
        + rcpt("one@elsewhere.example", "550 5.7.1 Relaying denied*"),
        config=KNOWN,
        protocol=protocol,
        tables=tables,
    )
    assert tables["sql:users"].queries[0] == [USER, "@example.com"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_failure_is_temporary_and_no_recipient_is_unknown_then(kind):
    played = play(
        OPEN + MAIL + rcpt(USER, FAILED) + rcpt("other@example.com", FAILED),
        config=KNOWN,
        tables={"sql:users": failing(kind)},
    )
    assert [one.reason for one in played.decisions] == ["lookup-failed"] * 2


@pytest.mark.parametrize("first", KINDS)
@pytest.mark.parametrize("second", KINDS)
def test_another_table_can_have_a_recipient_while_one_fails(first, second):
    play(
        OPEN + MAIL + rcpt("two@example.com") + rcpt(USER) + rcpt("other@example.com", FAILED),
        config=BOTH,
        tables={"sql:users": failing(first), "ldap:users": second({USER: ""})},
    )
    play(
        OPEN + MAIL + rcpt(USER) + rcpt("other@example.com", FAILED),
        config=BOTH,
        tables={"sql:users": first({USER: ""}), "ldap:users": failing(second)},
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_recipient_that_no_table_has_is_unknown(kind):
    play(
        OPEN + MAIL + rcpt("other@example.com", UNKNOWN) + rcpt("three@example.com"),
        config=BOTH,
        tables={"sql:users": kind(), "ldap:users": kind({"three@example.com": ""})},
    )


@pytest.mark.parametrize("kind", KINDS)
def test_plugins_are_asked_about_recipients_that_no_table_has(kind):
    answers = {"yes": local(), "no": unknown("Left the company")}
    asked = []

    async def look_up(_tx, one):
        asked.append(one.user)
        await asyncio.sleep(0)
        return answers.get(one.user)

    play(
        OPEN
        + MAIL
        + rcpt(USER)
        + rcpt("yes@example.com")
        + rcpt("no@example.com", "550 5.1.1 Left the company [*]")
        + rcpt("other@example.com", UNKNOWN),
        [plugin(on_lookup=look_up)],
        config=KNOWN,
        tables=users(kind=kind),
    )
    assert asked == ["yes", "no", "other"]


def test_answers_are_cached_for_the_configured_time():
    tables = users()
    twice = OPEN + MAIL + rcpt(USER) + "T: {}\n" + rcpt(USER)
    for time, queries in (("4m", 1), ("6m", 2)):
        tables["sql:users"].queries.clear()
        play(twice.format(time), config=KNOWN, tables=tables)
        keys = [key for query in tables["sql:users"].queries for key in query]
        assert keys.count(USER) == queries


@pytest.mark.parametrize("kind", KINDS)
def test_a_table_proves_that_a_learned_trap_does_not_exist(kind):
    registry = MemoryRegistry(f"{TRAP} class=learned state=armed")
    play(message(250, REFUSED_AT_END), config=KNOWN, registry=registry, tables=users(kind=kind))


def test_a_failure_proves_nothing_about_a_learned_trap():
    registry = MemoryRegistry(f"{TRAP} class=learned state=armed")
    two = config(recipients={"known": [USER, "sql:users"]})
    table = {"sql:users": failing()}
    play(message(FAILED, ACCEPTED), config=two, registry=registry, tables=table)


def test_a_domain_of_a_table_proves_nothing_about_a_learned_trap():
    registry = MemoryRegistry(f"{TRAP} class=learned state=armed")
    tables = users("@example.com")
    play(message(250, ACCEPTED), config=KNOWN, registry=registry, tables=tables)
    assert registry.find(TRAP).state == "armed"


def test_a_domain_of_a_table_can_have_traps():
    play(message(250, AT_DATA), config=KNOWN, traps=[TRAP], tables=users("@example.com"))


@pytest.mark.parametrize("kind", KINDS)
def test_a_recipient_in_a_table_is_no_trap(kind):
    tables = users(TRAP, kind=kind)
    for trap in (TRAP, "@example.com", "/^kim/"):
        played = play(message(250, ACCEPTED), config=KNOWN, traps=[trap], tables=tables)
        assert played.messages[0].recipients == [USER, TRAP]


def test_a_registered_trap_retires_when_a_table_has_its_address():
    registry = MemoryRegistry(f"{TRAP} state=armed", "@example.com state=armed")
    play(message(250, ACCEPTED), config=KNOWN, registry=registry, tables=users(TRAP))
    assert registry.find(TRAP).state == "retired"
    assert registry.find("@example.com").state == "armed"


def test_a_trap_with_a_subaddress_stays_one_unless_the_table_has_the_subaddress():
    tagged = "one+leaked@example.com"
    for more, end in (((), AT_DATA), ((tagged,), ACCEPTED)):
        play(
            OPEN + MAIL + rcpt(tagged) + end,
            config=KNOWN,
            traps=[tagged],
            tables=users(*more),
        )
    for trap in ("/leaked/", "@example.com"):
        play(OPEN + MAIL + rcpt(tagged) + ACCEPTED, config=KNOWN, traps=[trap], tables=users())


def test_a_trap_that_is_not_in_the_table_is_answered_as_an_unknown_recipient():
    as_unknown = config(recipients={"known": ["sql:users"]}, traps={"rcpt": "as-unknown"})
    play(message(UNKNOWN, AT_DATA), config=as_unknown, traps=[TRAP], tables=users())


def test_many_recipients_that_are_not_in_the_table_are_a_trap():
    guesses = "".join(rcpt(f"guess{number}@example.com", UNKNOWN) for number in range(12))
    play(OPEN + MAIL + guesses + rcpt(USER) + AT_DATA, config=KNOWN, tables=users())


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (USER, "it is a known recipient"),
        ("ones@example.com", "it is one typing error away from one@example.com"),
    ],
)
def test_a_plugin_cannot_arm_what_is_in_a_table(address, expected):
    async def on_data(_tx):
        with pytest.raises(ValueError, match=expected):
            await one.plugin.traps.add(address, reason="x", state="armed")
        await one.plugin.traps.add("x.y.z@example.com", reason="x", state="armed")

    one = plugin(on_data=on_data)
    registry = MemoryRegistry()
    play(
        OPEN + MAIL + rcpt(USER) + ACCEPTED, [one], config=KNOWN, registry=registry, tables=users()
    )
    assert [trap.entry for trap in registry.traps()] == ["x.y.z@example.com"]


def test_a_plugin_cannot_arm_a_trap_while_a_table_fails():
    async def on_mail(_tx, _sender):
        with pytest.raises(StoreError, match="no connection"):
            await one.plugin.traps.add(TRAP, reason="x", state="armed")

    one = plugin(on_mail=on_mail)
    play(OPEN + MAIL, [one], config=KNOWN, tables={"sql:users": failing()})


def test_a_wrong_table_is_an_error_with_its_place():
    made = config(recipients={"known": ["one@example.com", "mysql:users", "nosuch:x"]})

    async def run():
        async with MemoryServer(config=made):
            raise AssertionError("started")

    with pytest.raises(SetupError) as found:
        asyncio.run(run())
    assert [one.split(" expected")[0] for one in found.value.problems] == [
        "configuration: recipients.known[1]:",
        "configuration: recipients.known[2]:",
    ]


class Failing(Table):
    """A table that cannot answer, without a cache."""

    def find(self, _keys):
        raise TableError(self.name, "down")


def test_the_first_failure_is_the_reason():
    tables = KnownTables([Failing("a:a"), MemoryTable(), Failing("b:b")])
    with pytest.raises(TableError, match="table a:a: down"):
        tables.find(["x@example.com"])

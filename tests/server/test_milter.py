"""Gatepost as the milter of a mail server: sessions, rules, refusals, records."""

import asyncio
import os
from types import SimpleNamespace

import pytest
from tests.server.milter import GOOD, REFUSED, TRAP, UNKNOWN, milter_config, plugin, run
from tests.tables.databases import write_cdb
from tests.wire import mta

from gatepost import defer, deny, local, unknown
from gatepost.config.listen import UnixAddress
from gatepost.ledger import records as r
from gatepost.net.inline import need_task
from gatepost.session.recorder import Recorder
from gatepost.testing import MemoryServer, VirtualClock

NO_MAILBOX = "550 5.1.1 No such mailbox"
RELAY_DENIED = {"rcpt_mailer": "error", "rcpt_host": "5.7.1", "rcpt_addr": "Relay access denied"}
GREYLISTED = {"rcpt_mailer": "error", "rcpt_host": "4.2.0", "rcpt_addr": "Greylisted"}
THREE_TRAPS = [TRAP, "@trapped.example.com", "trap@elsewhere.example"]


@pytest.fixture
def start(tmp_path):
    """Return a function that runs a scenario with a server and these plugins."""

    def start(scenario, *plugins, clock=None, **more):
        return run(scenario, milter_config(tmp_path, **more), *plugins, clock=clock)

    return start


def transactions(server):
    return [one for one in server.records if isinstance(one, r.Transaction)]


def connections(server):
    return [one for one in server.records if isinstance(one, r.Connection)]


# Facts


def test_the_client_of_the_mail_server_is_the_client_of_the_session(start):
    seen = []

    async def scenario(server):
        client = await server.mta(mta.macros("C", v="Postfix 3.7.11"))
        assert await client.mail(GOOD) == ["c", "c"]
        [session] = seen
        assert (str(session.peer), session.helo) == ("192.0.2.1:25", "client.example")
        assert session.via.host == "127.0.0.1"
        assert (session.protocol, session.listener, session.extended) == ("milter", "mta", True)
        assert session.reported == {"v": "Postfix 3.7.11", "client_name": "mx.example"}
        assert session.in_relay_network is False
        await client.close()

    start(scenario, plugin(on_mail=lambda tx, _: seen.append(tx.session)))


def test_macros_become_facts(start):
    seen = []

    async def scenario(server):
        client = await server.mta(
            mta.macros("H", tls_version="TLSv1.3", cipher="AES", cert_subject="CN=x", verify="OK"),
        )
        login = mta.macros("M", auth_authen="alice", auth_type="PLAIN")
        assert await client.ask(login, mta.mail()) == "c"
        assert await client.rcpt(GOOD, i="4ABC", rcpt_mailer="local") == "c"
        [tx] = seen
        session = tx.session
        assert (session.tls.version, session.tls.cipher) == ("TLSv1.3", "AES")
        assert session.tls.peer_subject == "CN=x"
        assert (session.auth.user, session.auth.mechanism) == ("alice", "PLAIN")
        assert tx.queue_id == "4ABC"
        assert session.reported["rcpt_mailer"] == "local"
        await client.close()

    start(scenario, plugin(on_rcpt=lambda tx, _: seen.append(tx)))


def test_a_certificate_that_the_mail_server_has_not_verified_is_no_fact(start):
    seen = []

    async def scenario(server):
        client = await server.mta(mta.macros("H", tls_version="TLSv1.2", cert_subject="CN=x"))
        await client.mail()
        assert seen[0].tls.peer_subject == ""
        await client.close()

    start(scenario, plugin(on_tls=seen.append))


def test_helo_after_starttls_brings_the_facts_of_tls_and_ends_the_transaction(start):
    seen = []

    async def scenario(server):
        client = await server.mta()
        await client.mail(GOOD)
        assert await client.ask(mta.macros("H", tls_version="TLSv1.3"), mta.helo("again")) == "c"
        assert await client.mail(GOOD) == ["c", "c"]
        assert seen == [("client.example", True), ("again", False)]
        await client.close()

    def note(tx, _sender):
        seen.append((tx.session.helo, tx.session.tls is None))

    start(scenario, plugin(on_helo=lambda *_: None, on_mail=note))


def test_dsn_parameters_are_the_mail_servers_matter(start):
    async def scenario(server):
        client = await server.mta()
        assert await client.ask(mta.mail("<a@x.example>", "RET=HDRS", "ENVID=1")) == "c"
        assert await client.ask(mta.rcpt(f"<{GOOD}>", "NOTIFY=SUCCESS")) == "c"
        await client.close()

    start(scenario)


# Traps


@pytest.mark.parametrize(
    ("trap", "macros", "refused"),
    [
        (TRAP, {}, True),
        (TRAP, UNKNOWN, True),
        (TRAP, GREYLISTED, False),
        (TRAP, RELAY_DENIED, False),
        ("x@trapped.example.com", UNKNOWN, True),
        ("trap@elsewhere.example", RELAY_DENIED, False),
        ("trap@elsewhere.example", UNKNOWN, False),
        ("trap@elsewhere.example", {}, True),
        ("nobody@example.com", UNKNOWN, False),
    ],
)
def test_a_recipient_that_is_refused_elsewhere_is_a_trap_only_if_it_is_unknown_here(
    start, trap, macros, refused
):
    async def scenario(server):
        client = await server.mta()
        await client.mail()
        await client.rcpt(trap, **macros)
        assert await client.rcpt(GOOD) == "c"
        assert await client.data() == (REFUSED if refused else "c")
        await client.close()

    start(scenario, traps=THREE_TRAPS, recipients={"domains": ["example.com", ".example.com"]})


def test_the_refusal_of_a_trap_stands_until_the_transaction_ends(start):
    async def scenario(server):
        client = await server.mta()
        await client.mail(TRAP, GOOD)
        assert [await client.data(), await client.data()] == [REFUSED, REFUSED]
        assert await client.rcpt(GOOD) == REFUSED
        assert await client.data() == REFUSED
        client.send(mta.ABORT, mta.ABORT)
        assert await client.message() == "c"
        assert await client.mail(TRAP) == ["c", "c"]
        assert await client.data() == REFUSED
        assert await client.mail(GOOD) == ["c", "c"]  # without the end of the transaction before
        assert await client.data() == "c"
        await client.close()
        await server.until_closed()
        assert [one.result for one in transactions(server)] == [
            *("refused", "accepted", "refused", "abandoned"),
        ]

    start(scenario, traps=THREE_TRAPS)


def test_a_sender_in_an_open_transaction_ends_that(start):
    ended = []

    async def scenario(server):
        client = await server.mta()
        await client.mail(TRAP)
        assert await client.mail(path="<wait@x.example>") == ["c"]
        assert await client.rcpt(GOOD) == "c"
        assert [str(tx.reverse_path) for tx in ended] == ["a@client.example"]
        assert await client.data() == "c"
        await client.close()

    async def wait(_tx, _sender):
        await need_task()

    start(scenario, plugin(on_reset=ended.append, on_mail=wait), traps=[TRAP])


def test_trap_hits_are_recorded_about_a_second_later(start, monkeypatch):
    found = []
    monkeypatch.setattr(Recorder, "traps_hit", lambda _self, tx: found.append(tx.id))

    async def scenario(server):
        client = await server.mta()
        assert await client.message(to=(TRAP,)) == REFUSED
        [connection] = server.connections.members
        connection.talk.recorder = Recorder()
        assert found == []
        server.connections.sweep_later(1)
        assert len(found) == 1
        await client.close()

    start(scenario, traps=[TRAP])


def test_a_trap_alone_is_recorded_without_data(start):
    async def scenario(server):
        client = await server.mta()
        await client.mail()
        await client.rcpt(TRAP, **UNKNOWN)
        client.send(mta.ABORT, mta.QUIT)
        await server.until_closed()
        [made] = transactions(server)
        assert [one.address for one in made.traps] == [TRAP]
        assert made.recipients[0].reply.startswith("550 5.1.1 User unknown")
        await client.close()

    start(scenario, traps=THREE_TRAPS)


def test_many_recipients_that_are_unknown_to_the_mail_server_are_a_trap(start):
    async def scenario(server):
        client = await server.mta()
        await client.mail(GOOD)
        for number in range(12):
            await client.rcpt(f"{number}@example.com", **UNKNOWN)
        assert await client.data() == REFUSED
        await client.close()

    start(scenario)


def test_the_verdict_after_the_content_is_sent_at_its_end(start):
    async def scenario(server):
        client = await server.mta()
        assert await client.message(to=(TRAP, GOOD)) == REFUSED
        await client.close()

    start(scenario, traps=THREE_TRAPS, trap_rules={"verdict": "end"})


def test_a_message_to_a_trap_is_held_in_the_queue_of_the_mail_server(start):
    async def scenario(server):
        client = await server.mta()
        assert await client.message(to=(TRAP,)) == "c"
        assert client.changes == [("q", b"trap\0")]
        await client.close()

    start(scenario, traps=THREE_TRAPS, trap_rules={"verdict": "hold", "hold_share": 1.0})


# Rules


@pytest.mark.parametrize(
    ("address", "response"),
    [
        (GOOD, "c"),
        ("none@example.com", NO_MAILBOX),
        ("postmaster@example.com", "c"),
        ("none@elsewhere.example", "c"),
    ],
)
@pytest.mark.parametrize("kind", ["file", "texthash"])
def test_mailboxes_are_checked_if_there_is_a_list_of_them(start, tmp_path, address, response, kind):
    (tmp_path / "users").write_text(f"{GOOD} x\n")

    async def scenario(server):
        client = await server.mta()
        assert await client.mail(address) == ["c", response]
        await client.close()

    start(scenario, recipients={"known": [f"{kind}:users"]})


def test_a_table_that_cannot_answer_defers_a_recipient(start, tmp_path):
    path = tmp_path / "users"
    write_cdb(path, {b"good@example.com": b"x" * 5000})

    async def scenario(server):
        os.truncate(path, 2100)
        client = await server.mta()
        found = await client.mail(GOOD, "none@elsewhere.example", "postmaster@example.com")
        assert found == ["c", "451 4.3.0 Temporary lookup failure", "c", "c"]
        await client.close()

    start(scenario, recipients={"known": ["cdb:users"]})


def looked_up(_tx, rcpt):
    answers = {"yes": local(), "no": unknown(), "trap": local()}
    if rcpt.address.local == "broken":
        raise RuntimeError
    return answers.get(rcpt.address.local)


@pytest.mark.parametrize("known", [[], ["file:users"], ["texthash:users"]])
def test_plugins_are_asked_about_mailboxes(start, tmp_path, known):
    (tmp_path / "users").write_text(f"{GOOD} x\n")

    async def scenario(server):
        client = await server.mta()
        await client.mail()
        found = [await client.rcpt(f"{one}@example.com") for one in ("yes", "no", "other")]
        assert found == ["c", NO_MAILBOX, NO_MAILBOX if known else "c"]
        assert (await client.rcpt("broken@example.com"))[:3] == "451"
        assert await client.rcpt("trap@example.com") == "c"
        await client.close()

    start(scenario, plugin(on_lookup=looked_up), recipients={"known": known}, traps=[TRAP])


def test_plugins_that_wait_are_asked_about_mailboxes(start):
    async def lookup(tx, rcpt):
        await need_task()
        return looked_up(tx, rcpt)

    async def scenario(server):
        client = await server.mta()
        assert await client.mail("yes@example.com", "no@example.com") == ["c", "c", NO_MAILBOX]
        await client.close()

    start(scenario, plugin(on_lookup=lookup))


def test_the_number_of_recipients_is_limited(start):
    async def scenario(server):
        client = await server.mta()
        assert await client.mail("a@example.com", "b@example.com") == [
            *("c", "c", "452 4.5.3 Too many recipients"),
        ]
        await client.close()

    start(scenario, limits={"recipients": 1})


def test_without_space_for_content_no_message_begins(start):
    async def scenario(server):
        server.connections.setup.storage_full = True
        client = await server.mta()
        assert await client.mail() == ["452 4.3.1 Insufficient system storage"]
        await client.close()

    start(scenario)


# Plugins


def test_decisions_of_plugins_are_sent_where_they_are_made(start):
    async def scenario(server):
        client = await server.connect_mta()
        await client.ask(mta.offer())
        assert await client.ask(mta.connect()) == "c"
        assert await client.ask(mta.helo("bad")) == "550 5.7.1 bad name"
        assert await client.ask(mta.helo()) == "c"
        assert await client.ask(mta.packet("U", b"WIZ x\0")) == "500 5.5.1 no magic"
        assert await client.mail(path="<bad@x.example>") == ["450 4.7.1 later"]
        assert await client.mail("bad@example.com", GOOD) == [
            *("c", "550-5.7.1 one\r\n550 5.7.1 two", "c"),
        ]
        assert await client.data() == "c"
        assert await client.content(("Subject", " bad")) == "554 5.7.1 bad subject"
        await client.close()

    refusing = plugin(
        on_connect=lambda _session: None,
        on_helo=lambda _session, name: deny("bad name") if name == "bad" else None,
        on_unknown_command=lambda *_: deny("no magic"),
        on_mail=lambda _tx, sender: defer("later") if sender.local == "bad" else None,
        on_rcpt=lambda _tx, rcpt: deny("one\ntwo") if rcpt.address.local == "bad" else None,
        on_headers=lambda _tx, headers: (
            deny("bad subject") if "bad" in headers.raw.decode() else None
        ),
    )
    start(scenario, refusing)


async def refuse(_tx, _headers):
    return deny("no")


async def refuse_later(_tx, _headers):
    await asyncio.sleep(0)
    return deny("no")


@pytest.mark.parametrize("refuse", [refuse, refuse_later])
def test_a_refusal_of_the_header_block_ends_the_message_at_once(start, refuse):
    ended = []

    async def scenario(server):
        client = await server.mta()
        await client.mail(GOOD)
        await client.data()
        client.send(mta.field("Subject", " x"))
        assert await client.ask(mta.END_OF_FIELDS) == "554 5.7.1 no"
        client.send(mta.ABORT)
        assert await client.message() == "554 5.7.1 no"
        assert len(ended) == 2
        await client.close()

    start(scenario, plugin(on_headers=refuse, on_reset=ended.append))


def test_a_plugin_that_waits_does_not_keep_others_waiting(start):
    release = asyncio.Event()

    async def wait(tx):
        if tx.reverse_path.local == "slow":
            await need_task()
            await release.wait()

    async def scenario(server):
        slow, fast = await server.mta(), await server.mta()
        await slow.mail(GOOD, path="<slow@x.example>")
        await slow.data()
        slow.send(mta.END_OF_FIELDS, mta.body(b"x\r\n"), mta.END)
        assert [await slow.response() for _ in range(2)] == [("c", b"")] * 2
        assert await fast.message() == "c"
        server.connections.sweep_later(10)
        assert await slow.response() == ("p", b"")
        release.set()
        assert await slow.response() == ("c", b"")
        for one in (slow, fast):
            await one.close()

    start(scenario, plugin(on_message=wait))


def test_a_plugin_that_fails_defers(start):
    async def scenario(server):
        client = await server.mta()
        assert (await client.mail())[0].startswith("451 4.3.0 ")
        await client.close()

    def fail(*_):
        raise RuntimeError

    start(scenario, plugin(on_mail=fail))


def test_an_internal_error_closes_the_client(start, monkeypatch):
    def fail(*_):
        raise RuntimeError

    monkeypatch.setattr("gatepost.session.milter.take", fail)

    async def scenario(server):
        client = await server.mta()
        internal = "421 4.3.0 Internal error, try again later"
        await client.mail(GOOD)
        await client.data()
        assert await client.ask(mta.END_OF_FIELDS) == internal
        await client.close()

    start(scenario)


def test_a_refused_client_gets_the_words_of_the_plugin(start):
    async def scenario(server):
        client = await server.connect_mta()
        await client.ask(mta.offer())
        assert await client.ask(mta.connect()) == "554 5.7.1 go away"
        await client.close()

    start(scenario, plugin(on_connect=lambda _session: deny("go away")))


def test_the_delay_of_a_trap_costs_the_client_and_not_the_server(start):
    clock = VirtualClock("2026-01-01T00:00:00Z")

    async def scenario(server):
        client = await server.mta()
        assert await client.message(to=(TRAP,)) == REFUSED
        assert clock.slept == [7.0]
        await client.close()

    start(scenario, clock=clock, traps=[TRAP], trap_rules={"delay": 7.0})


# The body


@pytest.mark.parametrize(
    ("methods", "body"),
    [
        ({}, False),
        ({"on_rcpt": lambda *_: None}, False),
        ({"on_headers": lambda *_: None}, True),
        ({"after_message": lambda *_: None}, True),
        ({"on_deliver": lambda *_: None}, True),
        ({"on_delivered": lambda *_: None}, True),
    ],
)
def test_the_body_is_requested_only_if_a_plugin_can_read_it(start, methods, body):
    async def scenario(server):
        client = await server.connect_mta()
        client.send(mta.offer())
        _, data = await client.response()
        assert (int.from_bytes(data[8:12], "big") & 0x10 == 0) == body
        await client.close()

    start(scenario, plugin(**methods))


def test_a_message_over_the_limit_is_refused_and_not_kept(start):
    async def scenario(server):
        client = await server.mta()
        await client.mail(GOOD)
        await client.data()
        client.send(mta.END_OF_FIELDS, mta.body(b"x" * 5000), mta.body(b"x" * 5000), mta.END)
        codes = [(await client.response())[0] for _ in range(4)]
        assert "".join(codes) == "cssy"
        await client.close()

    start(scenario, plugin(on_message=lambda _tx: None), limits={"message_size": 1000})


def test_large_content_goes_to_a_file(start):
    seen = []

    async def scenario(server):
        client = await server.mta()
        assert await client.message(text=b"x" * 60_000 + b"\r\n") == "c"
        assert seen == [True]
        await client.close()

    reading = plugin(on_message=lambda tx: seen.append(tx.message.in_file))
    start(scenario, reading, limits={"memory_per_message": 10_000})


# The end


def test_each_client_of_a_connection_has_a_session_and_a_record(start):
    ended = []

    async def scenario(server):
        client = await server.mta()
        assert await client.message() == "c"
        client.send(mta.REUSE)
        await client.begin(address="192.0.2.2")
        assert await client.mail(GOOD) == ["c", "c"]
        client.send(mta.QUIT)
        assert await client.reader.read() == b""
        await server.until_closed()
        first, second = connections(server)
        assert (first.client.address, second.client.address) == ("192.0.2.1", "192.0.2.2")
        assert [one.end for one in (first, second)] == ["quit", "quit"]
        assert (first.client.protocol, first.client.listener) == ("milter", "mta")
        assert first.client.via.startswith("127.0.0.1:")
        assert (first.messages, second.messages) == (1, 0)
        assert first.received > 0 < second.sent
        assert [one.id for one in ended] == [first.ref, second.ref]
        await client.close()

    start(scenario, plugin(on_disconnect=ended.append))


def test_without_plugins_the_end_of_a_session_is_recorded_too(start):
    async def scenario(server):
        client = await server.mta()
        client.send(mta.REUSE, mta.QUIT)
        await server.until_closed()
        [made] = connections(server)
        assert made.end == "quit"
        await client.close()

    start(scenario)


@pytest.mark.parametrize("waits", [False, True])
def test_a_mail_server_that_goes_away_in_a_message_loses_only_that(start, waits):
    ended = []

    async def wait(_tx):
        ended.append("message")
        if waits:
            await need_task()
            await asyncio.Event().wait()

    async def scenario(server):
        client = await server.mta()
        await client.mail(GOOD)
        await client.data()
        client.send(mta.END_OF_FIELDS, mta.body(b"x"), *([mta.END] if waits else []))
        for _ in range(2):
            await client.response()
        if waits:
            await server.until(lambda: ended)
        client.writer.transport.abort()
        await server.until_closed()
        await server.until(lambda: len(connections(server)) == 1)
        assert transactions(server)[0].result == "abandoned"
        assert connections(server)[0].end == "lost"
        assert ended[-2:] == ["reset", "disconnect"]

    notified = plugin(
        on_message=wait,
        on_reset=lambda _tx: ended.append("reset"),
        on_disconnect=lambda _session: ended.append("disconnect"),
    )
    start(scenario, notified)


def test_a_broken_packet_ends_its_connection_only(start):
    async def scenario(server):
        good, bad = await server.mta(), await server.mta()
        await good.mail(GOOD)
        bad.send(b"\xff\xff\xff\xffX")
        assert await bad.reader.read() == b""
        assert await good.data() == "c"
        for one in (good, bad):
            await one.close()
        await server.until_closed()
        faults = [one for made in connections(server) for one in made.answers]
        assert [one.reply for one in faults if "Milter protocol" in one.reply]

    start(scenario)


def test_a_broken_offer_is_recorded_without_a_session(start):
    refused = []

    async def scenario(server):
        client = await server.connect_mta()
        client.send(mta.offer(1))
        assert await client.reader.read() == b""
        await client.close()
        await server.until_closed()
        assert [str(one.reply) for one in refused] == [
            "500 5.5.2 Milter protocol: expected version 2 or later, found 1",
        ]

    def fault(session, tx, reply):
        refused.append(SimpleNamespace(session=session, tx=tx, reply=str(reply).partition(" [")[0]))

    start(scenario, plugin(on_fault=fault))


def test_an_old_mail_server_gets_the_refusal_of_a_trap_with_the_first_piece(start):
    async def scenario(server):
        client = await server.connect_mta()
        await client.ask(mta.offer(2, 0x3F, 0x7F))
        assert [await client.ask(one) for one in (mta.connect(), mta.helo())] == ["c", "c"]
        await client.mail(TRAP, GOOD)
        assert await client.ask(mta.field("Subject", "x")) == REFUSED
        client.send(mta.ABORT)
        await client.mail(GOOD)
        responses = [
            await client.ask(one)
            for one in (mta.field("Subject", "x"), mta.END_OF_FIELDS, mta.body(b"y\r\n"), mta.END)
        ]
        assert responses == ["c"] * 4
        await client.close()

    start(scenario, traps=[TRAP])


def test_a_unix_socket_is_served(start, tmp_path):
    async def scenario(server):
        client = await server.mta()
        assert await client.message() == "c"
        await client.close()

    start(scenario, address=UnixAddress("milter.sock"))


def test_a_client_in_memory_is_decided_about_by_the_rules_of_the_listener(tmp_path):
    async def main():
        made = milter_config(tmp_path, [TRAP])
        async with MemoryServer([plugin(on_message=add_field)], config=made) as server:
            client = server.connect(listen="mta")
            client.send(
                b"EHLO x\r\nMAIL FROM:<> RET=HDRS\r\nRCPT TO:<a@elsewhere.example>\r\nDATA\r\n"
            )
            client.send(b"Subject: x\r\n\r\ny\r\n.\r\n")
            replies = [await client.reply() for _ in range(6)]
            assert [one[:3] for one in replies] == ["220", "250", "250", "250", "354", "250"]

    def add_field(tx):
        tx.message.add_header("X-New", "1")

    asyncio.run(main())

"""A mail server that asks about its clients: `protocol = "policy"`, on real sockets."""

import asyncio

import pytest
from msgspec.structs import replace
from tests.references import without_references
from tests.server.loopback import LoopbackServer, config
from tests.session.dialogue import plugin

from gatepost import accept, defer, deny, hold
from gatepost.config.schema import LimitsConfig, ListenConfig, RecipientsConfig, TrapsConfig
from gatepost.ledger import records as r
from gatepost.plugin.virtual_clock import VirtualClock
from gatepost.server.server import Server
from gatepost.session.policy import visits
from gatepost.wire.policy import request

REFUSED = "554 5.7.1 Message refused by local policy"
FACTS = {
    "request": "smtpd_access_policy",
    "protocol_name": "ESMTP",
    "client_address": "192.0.2.7",
    "client_port": "4711",
    "server_address": "192.0.2.25",
    "server_port": "25",
    "helo_name": "client.example",
    "sender": "a@client.example",
    "instance": "1",
}


class Asker:
    """A connection of a mail server."""

    def __init__(self, client):
        self.client = client

    async def ask(self, state, recipient="", **facts):
        """Return the action for a command; `facts` replace those of every request."""
        self.client.send(
            request({**FACTS, "protocol_state": state, "recipient": recipient, **facts})
        )
        return await self.action()

    async def action(self):
        line = await self.client.reader.readuntil(b"\n\n")
        return without_references(line.decode().removeprefix("action=").rstrip("\n"))

    async def rcpt(self, recipient="one@example.com", **facts):
        return await self.ask("RCPT", recipient, **facts)

    async def data(self, **facts):
        return await self.ask("DATA", **facts)


class Slow:
    """A plugin that waits at RCPT for the recipient `slow` until `gate` is set."""

    def __init__(self):
        self.gate, self.waiting = asyncio.Event(), []

    async def on_rcpt(self, _tx, rcpt):
        if rcpt.user == "slow":
            self.waiting.append(1)
            await self.gate.wait()

    async def ask(self, server, asker):
        """Ask about that recipient, and return once the plugin waits."""
        facts = {"protocol_state": "RCPT", "recipient": "slow@example.com"}
        asker.client.send(request({**FACTS, **facts}))
        await server.until(lambda: self.waiting)


class Policy(LoopbackServer):
    """The server, and the records it has made."""

    def __init__(self, server, records):
        super().__init__(server)
        self.records = records
        self.askers = []

    async def asker(self):
        self.askers.append(Asker(await self.connect()))
        return self.askers[-1]

    async def close(self):
        for asker in self.askers:
            await asker.client.close()

    @property
    def visits(self):
        return self.connections.visits

    def ended(self):
        """End all transactions, and return the records of them."""
        self.visits.close()
        return [one for one in self.records if type(one) is r.Transaction]


@pytest.fixture
def asking(tmp_path):
    """Return a function that runs a scenario with a server that answers policy requests."""
    (tmp_path / "traps").write_text("trap@example.com\nlearned@example.com class=learned\n")

    def start(scenario, plugins=(), *, traps=None, **more):
        made = config(tmp_path, traps=TrapsConfig(lists=[tmp_path / "traps"], **(traps or {})))
        listen = [replace(made.listen[0], protocol="policy", name="mta")]
        made = replace(made, listen=listen, **more)
        records = []

        async def main():
            clock = VirtualClock()
            async with Server(made, plugins, clock, records=records.append) as server:
                policy = Policy(server, records)
                await scenario(policy)
                await policy.close()

        asyncio.run(asyncio.wait_for(main(), 60))

    return start


def test_mail_without_a_trap_is_left_to_the_mail_server(asking):
    async def scenario(server):
        asker = await server.asker()
        assert await asker.rcpt() == "DUNNO"
        assert await asker.data() == "DUNNO"
        assert await asker.ask("END-OF-MESSAGE") == "DUNNO"
        [record] = server.ended()
        assert (record.result, record.size) == ("accepted", 0)
        assert record.reply == "250 2.0.0 Passed on to the mail server"
        assert record.client.address == "192.0.2.7"

    asking(scenario)


def test_a_trap_refuses_the_message_at_data_however_often_it_is_asked(asking):
    async def scenario(server):
        asker = await server.asker()
        assert await asker.rcpt() == "DUNNO"
        assert await asker.rcpt("trap@example.com") == "DUNNO"
        assert await asker.data() == REFUSED
        assert await asker.data() == REFUSED
        assert await asker.rcpt("two@example.com") == REFUSED
        assert await asker.ask("END-OF-MESSAGE") == REFUSED
        [record] = server.ended()
        assert (record.result, record.by, record.hook) == ("refused", "gatepost", "data")
        assert [one.address for one in record.recipients] == ["one@example.com", "trap@example.com"]

    asking(scenario)


@pytest.mark.parametrize(
    ("given", "kept"), [("4B2Xk1z9", "4B2Xk1z9"), ("", ""), ("a\u00e9", ""), ("x" * 41, "")]
)
def test_the_record_has_the_id_in_the_queue_of_the_mail_server(asking, given, kept):
    async def scenario(server):
        asker = await server.asker()
        await asker.rcpt()
        await asker.data(queue_id=given)
        [record] = server.ended()
        assert record.queue_id == kept

    asking(scenario)


@pytest.mark.parametrize("verdict", ["data", "end", "hold"])
def test_every_verdict_is_given_at_data_because_there_is_no_content(asking, verdict):
    async def scenario(server):
        asker = await server.asker()
        await asker.rcpt("trap@example.com")
        assert await asker.data() == REFUSED

    asking(scenario, traps={"verdict": verdict})


def test_a_trap_in_shadow_mode_refuses_nothing(asking):
    async def scenario(server):
        asker = await server.asker()
        await asker.rcpt("trap@example.com")
        assert await asker.data() == "DUNNO"

    asking(scenario, traps={"action": "shadow"})


def test_a_message_may_be_asked_about_at_its_end_only(asking):
    async def scenario(server):
        asker = await server.asker()
        await asker.rcpt("trap@example.com")
        assert await asker.ask("END-OF-MESSAGE") == REFUSED

    asking(scenario)


def test_a_trap_of_one_transaction_has_no_effect_on_the_next(asking):
    async def scenario(server):
        asker = await server.asker()
        await asker.rcpt("trap@example.com")
        assert await asker.rcpt(instance="2") == "DUNNO"
        assert await asker.data(instance="2") == "DUNNO"
        assert len(server.visits) == 1

    asking(scenario)


def test_another_connection_may_go_on_with_a_transaction(asking):
    async def scenario(server):
        asker = await server.asker()
        await asker.rcpt("trap@example.com")
        await asker.client.close()
        assert await (await server.asker()).data() == REFUSED

    asking(scenario)


def test_transactions_on_two_connections_are_apart(asking):
    async def scenario(server):
        one, two = await server.asker(), await server.asker()
        await one.rcpt("trap@example.com", instance="1")
        await two.rcpt(instance="2")
        assert await two.data(instance="2") == "DUNNO"
        assert await one.data(instance="1") == REFUSED

    asking(scenario)


def test_transactions_of_one_client_are_one_session(asking):
    async def scenario(server):
        asker = await server.asker()
        for instance in ("1", "2"):
            await asker.rcpt(instance=instance)
            await asker.data(instance=instance)
        await asker.rcpt(instance="3", client_port="1")
        await asker.rcpt(instance="4", client_port="0")
        await asker.rcpt(instance="5", client_port="0")
        server.visits.close()
        sessions = [one for one in server.records if type(one) is r.Connection]
        assert [one.transactions for one in sessions] == [2, 1, 1, 1]
        assert [one.messages for one in sessions] == [2, 0, 0, 0]

    asking(scenario)


def test_the_hooks_of_the_envelope_are_called_with_what_the_mail_server_reports(asking):
    calls = []

    def on_connect(session):
        calls.append(("connect", str(session.peer), str(session.local), session.via.host))

    def on_helo(session, name):
        calls.append(("helo", name, session.extended))

    def on_mail(tx, sender):
        session = tx.session
        calls.append(("mail", str(sender), tx.params, session.tls.version, session.auth.user))

    def on_rcpt(_tx, rcpt):
        calls.append(("rcpt", str(rcpt.address)))

    def on_data(tx):
        calls.append(("data", [str(one.address) for one in tx.recipients], tx.session.protocol))

    async def scenario(server):
        asker = await server.asker()
        facts = {
            "protocol_name": "SMTP",
            "size": "1000",
            "encryption_protocol": "TLSv1.3",
            "encryption_cipher": "X",
            "sasl_username": "joe",
            "sasl_method": "PLAIN",
        }
        await asker.rcpt("one two@example.com", **facts)
        await asker.rcpt("postmaster", **facts)
        await asker.data(**facts)

    hooks = {"connect": on_connect, "helo": on_helo, "mail": on_mail, "rcpt": on_rcpt}
    asking(
        scenario, [plugin(**{f"on_{name}": hook for name, hook in hooks.items()}, on_data=on_data)]
    )
    assert calls == [
        ("connect", "192.0.2.7:4711", "192.0.2.25:25", "127.0.0.1"),
        ("helo", "client.example", False),
        ("mail", "a@client.example", {"SIZE": "1000"}, "TLSv1.3", "joe"),
        ("rcpt", '"one two"@example.com'),
        ("rcpt", "postmaster"),
        ("data", ['"one two"@example.com', "postmaster"], "policy"),
    ]


@pytest.mark.parametrize(
    ("hook", "decision", "expected"),
    [
        ("connect", deny(), "554 5.7.1 Refused by local policy"),
        ("helo", deny("no"), "550 5.7.1 no"),
        ("mail", defer("later\nor never"), "450 4.7.1 later or never"),
        ("rcpt", deny("no"), "550 5.7.1 no"),
        (
            "rcpt",
            defer(disconnect=True),
            "421 4.7.1 Refused by local policy for now, try again later",
        ),
        ("rcpt", accept("yes"), "DUNNO"),
    ],
)
def test_a_decision_of_a_plugin_is_the_action(asking, hook, decision, expected):
    async def scenario(server):
        asker = await server.asker()
        assert await asker.rcpt() == expected
        assert await asker.rcpt() == expected

    asking(scenario, [plugin(**{f"on_{hook}": lambda *_: decision})])


@pytest.mark.parametrize("hook", ["on_connect", "on_mail", "on_rcpt"])
def test_the_mail_server_holds_a_message_that_a_plugin_holds(asking, hook):
    async def scenario(server):
        asker = await server.asker()
        for recipient in ("one@example.com", "two@example.com"):
            assert await asker.rcpt(recipient) == "HOLD odd one"
        assert await asker.data() == "HOLD odd one"

    asking(scenario, [plugin(**{hook: lambda *_: hold("odd \u00e4 one")})])


def test_a_refused_recipient_does_not_refuse_the_others(asking):
    async def scenario(server):
        asker = await server.asker()
        assert await asker.rcpt("no@example.com") == "550 5.7.1 no"
        assert await asker.rcpt() == "DUNNO"
        assert await asker.data() == "DUNNO"
        [record] = server.ended()
        assert record.result == "accepted"

    def on_rcpt(_tx, rcpt):
        return deny("no") if rcpt.user == "no" else None

    asking(scenario, [plugin(on_rcpt=on_rcpt)])


def test_a_recipient_that_is_asked_about_twice_is_decided_once(asking):
    calls = []

    async def scenario(server):
        asker = await server.asker()
        for _ in range(2):
            assert await asker.rcpt() == "DUNNO"

    asking(scenario, [plugin(on_rcpt=lambda _tx, rcpt: calls.append(rcpt))])
    assert len(calls) == 1


def test_recipients_after_a_decision_of_another_rule_begin_again(asking):
    async def scenario(server):
        asker = await server.asker()
        await asker.rcpt()
        assert await asker.data() == "DUNNO"
        await asker.rcpt("trap@example.com")
        assert await asker.data() == REFUSED

    asking(scenario)


def test_early_commands_may_be_asked_about_too(asking):
    calls = []

    async def scenario(server):
        asker = await server.asker()
        early = {"helo_name": "", "sender": ""}
        assert await asker.ask("CONNECT", **early) == "DUNNO"
        assert await asker.ask("EHLO", sender="") == "DUNNO"
        assert await asker.ask("MAIL") == "DUNNO"
        assert await asker.rcpt() == "DUNNO"

    hooks = {
        name: lambda *_, name=name: calls.append(name)
        for name in ("on_connect", "on_helo", "on_mail", "on_rcpt")
    }
    asking(scenario, [plugin(**hooks)])
    assert calls == ["on_connect", "on_helo", "on_mail", "on_rcpt"]


@pytest.mark.parametrize("state", ["VRFY", "ETRN", "", "SOMETHING"])
def test_other_commands_are_left_to_the_mail_server(asking, state):
    async def scenario(server):
        assert await (await server.asker()).ask(state) == "DUNNO"
        assert len(server.visits) == 0

    asking(scenario)


def test_a_transaction_known_from_data_only_is_decided_by_its_only_recipient(asking):
    async def scenario(server):
        asker = await server.asker()
        assert await asker.data(recipient="trap@example.com") == REFUSED
        assert await asker.data(instance="2") == "DUNNO"
        assert await asker.data(instance="3", recipient="one@example.com") == "DUNNO"

    asking(scenario)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"sender": "no domain@"}, "501 5.1.7 Syntax error: expected MAIL FROM:<address>"),
        ({"recipient": "a@b@@"}, "501 5.1.3 Syntax error: expected RCPT TO:<address>"),
        ({"recipient": ""}, "501 5.1.3 Syntax error: expected RCPT TO:<address>"),
    ],
)
def test_an_address_that_is_none_is_refused(asking, facts, expected):
    async def scenario(server):
        asker = await server.asker()
        assert await asker.ask("RCPT", **{"recipient": "one@example.com", **facts}) == expected

    asking(scenario)


@pytest.mark.parametrize(
    "facts",
    [
        {"client_address": "unknown", "client_port": ""},
        {"client_address": "2001:db8::1"},
        {"client_address": "::ffff:192.0.2.1", "client_port": "99999999999999999999"},
        {"size": "x", "helo_name": "", "sender": ""},
        {"future": "attribute"},
    ],
)
def test_facts_that_are_missing_or_unknown_are_no_error(asking, facts):
    async def scenario(server):
        assert await (await server.asker()).rcpt(**facts) == "DUNNO"

    asking(scenario)


@pytest.mark.parametrize("kind", ["file", "texthash"])
def test_unknown_recipients_are_refused_only_with_a_list_of_them(asking, tmp_path, kind):
    (tmp_path / "users").write_text("one@example.com x\n")

    async def scenario(server):
        asker = await server.asker()
        assert await asker.rcpt() == "DUNNO"
        assert (await asker.rcpt("none@example.com")).startswith("550 5.1.1 ")
        assert await asker.rcpt("none@elsewhere.example") == "DUNNO"

    known = RecipientsConfig(domains=["example.com"], known=[f"{kind}:users"])
    asking(scenario, recipients=known)


def test_a_lying_request_closes_its_connection_only(asking):
    async def scenario(server):
        good, bad = await server.asker(), await server.asker()
        await good.rcpt("trap@example.com")
        bad.client.send(b"sender=x\nsender=y\n\n" + request({**FACTS, "protocol_state": "RCPT"}))
        assert await bad.client.reader.read() == b""
        assert await good.data() == REFUSED

    asking(scenario)


def test_a_request_is_answered_although_the_mail_server_sends_no_more(asking):
    async def scenario(server):
        asker = await server.asker()
        asker.client.send(
            request({**FACTS, "protocol_state": "RCPT", "recipient": "a@example.com"})
        )
        asker.client.writer.write_eof()
        assert await asker.client.reader.read() == b"action=DUNNO\n\n"

    asking(scenario)


def test_a_second_request_about_a_transaction_that_waits_closes_the_connection(asking):
    slow = Slow()

    async def scenario(server):
        one, two = await server.asker(), await server.asker()
        await slow.ask(server, one)
        two.client.send(request({**FACTS, "protocol_state": "DATA"}))
        assert await two.client.reader.read() == b""
        slow.gate.set()
        assert await one.action() == "DUNNO"

    asking(scenario, [plugin(on_rcpt=slow.on_rcpt)])


def test_a_plugin_that_fails_defers(asking):
    async def scenario(server):
        asker = await server.asker()
        assert (await asker.rcpt()).startswith("45")

    def on_rcpt(_tx, _rcpt):
        raise RuntimeError

    asking(scenario, [plugin(on_rcpt=on_rcpt)])


def test_an_internal_error_closes_the_session_of_the_client(asking, monkeypatch):
    async def scenario(server):
        asker = await server.asker()
        monkeypatch.setattr(visits.Visit, "_events", broken)
        assert await asker.rcpt() == "421 4.3.0 Internal error, try again later"
        monkeypatch.setattr(visits.Visits, "find", broken)
        assert (await (await server.asker()).rcpt()).startswith("421 4.3.0 ")

    def broken(*_):
        raise RuntimeError

    asking(scenario)


def test_transactions_end_after_a_time_and_their_hits_are_recorded_before(asking):
    async def scenario(server):
        asker = await server.asker()
        await asker.rcpt("trap@example.com")
        await asker.data()
        server.visits.sweep(visits.IDLE)
        assert len(server.visits) == 1
        server.visits.sweep(2 * visits.IDLE)
        server.visits.sweep(3 * visits.IDLE + 1)
        assert len(server.visits) == 0
        assert [one.result for one in server.ended()] == ["refused"]

    asking(scenario)


def test_the_oldest_transaction_makes_room(asking, monkeypatch):
    monkeypatch.setattr(visits, "MOST", 2)

    async def scenario(server):
        askers = [await server.asker() for _ in range(3)]
        for number, asker in enumerate(askers):
            await asker.rcpt("trap@example.com", instance=str(number))
        assert len(server.visits) == 2
        assert await askers[0].data(instance="0") == "DUNNO"
        assert await askers[2].data(instance="2") == REFUSED

    asking(scenario)


def test_a_waiting_transaction_does_not_make_room(asking, monkeypatch):
    slow = Slow()
    monkeypatch.setattr(visits, "MOST", 1)

    async def scenario(server):
        one, two = await server.asker(), await server.asker()
        await slow.ask(server, one)
        server.visits.sweep(10 * visits.IDLE)
        assert await two.rcpt(instance="2") == "DUNNO"
        slow.gate.set()
        assert await one.action() == "DUNNO"

    asking(scenario, [plugin(on_rcpt=slow.on_rcpt)])


def test_a_stop_waits_for_the_answer_to_a_request_only(asking):
    slow = Slow()

    async def scenario(server):
        waits, other = await server.asker(), await server.asker()
        await other.rcpt(instance="2")
        await slow.ask(server, waits)
        stopping = asyncio.ensure_future(server.server.stop())
        assert await other.client.reader.read() == b""
        slow.gate.set()
        assert await waits.action() == "DUNNO"
        assert await waits.client.reader.read() == b""
        await stopping

    asking(scenario, [plugin(on_rcpt=slow.on_rcpt)])


def test_limits_of_clients_are_those_of_the_mail_server(asking):
    async def scenario(server):
        asker = await server.asker()
        for number in range(5):
            assert await asker.rcpt("@", instance=str(number)) != "DUNNO"
            assert await asker.rcpt(instance=str(number)) == "DUNNO"

    asking(scenario, limits=LimitsConfig(errors=1, transactions=1))


def test_the_name_of_the_listener_is_for_the_scope_of_plugins(asking):
    names = []

    async def scenario(server):
        await (await server.asker()).rcpt()

    asking(scenario, [plugin(on_rcpt=lambda tx, _: names.append(tx.session.listener))])
    assert names == ["mta"]


def test_the_listener_is_for_this_machine_by_default():
    assert all(network.is_loopback for network in ListenConfig(protocol="policy").accept_from)

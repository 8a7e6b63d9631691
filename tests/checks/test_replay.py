"""A replay finds what another configuration would change, and counts what it cannot decide."""

import socket
from datetime import UTC

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.checks.replays import (
    CONTENT,
    changes,
    configuration,
    kept,
    message,
    recorded,
    replayed,
    session,
)
from tests.ledger.mail_records import ANY_RECORD

from gatepost.checks.replay import findings, listing
from gatepost.ledger.records import Answer, Client, Connection, RecipientRecord, Transaction
from gatepost.model.session import AuthFacts, TlsFacts
from gatepost.plugin.host import PluginError

ADDRESSES = [
    "bob@example.com",
    "BOB@Example.com",
    "carol@example.com",
    "trap@example.com",
    "unknown@example.com",
    "user%host@example.com",
    '"a b"@example.com',
    "postmaster",
    "eve@elsewhere.example",
    "not an address",
    "x" * 300 + "@example.com",
]
SENDERS = ["alice@example.org", "", "denied@example.org", "deferred@example.org", "a..b@x.example"]
COMMANDS = (
    st.sampled_from(ADDRESSES).map("RCPT TO:<{}>\r\n".format)
    | st.sampled_from(SENDERS).map("MAIL FROM:<{}>\r\n".format)
    | st.sampled_from(
        [
            f"DATA\r\n{CONTENT}",
            f"DATA\r\nReceived: x\r\n{'y' * 70}{CONTENT}",
            "DATA\r\nFrom: me\r\n\r\nimpure\n\r\n.\r\n",
            "RSET\r\n",
            "NOOP\r\n",
            "NONSENSE\r\n",
            "HELO mail.example.org\r\n",
            "EHLO refused.example\r\n",
            "EHLO mail.example.org\r\n",
            "LHLO mail.example.org\r\n",
            "QUIT\r\n",
        ]
    )
)
POLICY = """
from gatepost import Plugin, accept, defer, deny

class Policy(Plugin):
    def on_connect(self, session):
        if session.peer.host == "192.0.2.66":
            return deny("not you", reason="banned")

    def on_helo(self, session, name):
        if name == "refused.example":
            return deny("bad name", reason="bad-name")

    def on_mail(self, tx, sender):
        if sender.local == "denied":
            return deny("not from you", reason="sender", disconnect=True)
        if sender.local == "deferred":
            return defer("later", reason="sender")

    def on_rcpt(self, tx, rcpt):
        if rcpt.user == "carol":
            return defer("Carol is away", reason="away")
        return accept("welcome") if rcpt.address.local == "BOB" else None

    def on_data(self, tx):
        if len(tx.recipients) == 2:
            return deny("two are a crowd", reason="two")

    def on_headers(self, tx, headers):
        if headers.get("From"):
            return deny("no From, please", reason="from")
"""
STRICT = {
    "recipients": {"domains": ["example.com"], "known": ["bob@example.com", "carol@example.com"]},
    "limits": {"recipients": 3, "transactions": 3, "message_size": "100", "errors": 6},
}


def plugin(folder, text, name="policy"):
    """Write a plugin; return its table in a configuration."""
    (folder / f"{name}.py").write_text(text)
    return {"use": f"{name}.py"}


def traps(folder, *lines, name="traps"):
    """Write a trap list; return its table in a configuration."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text("".join(f"{line}\n" for line in lines))
    return {"lists": [name], "delay": "0s"}


def difference(folder, sessions, *, before=None, after=None, **options):
    """Return the findings for sessions that were recorded with other tables."""
    old, new = (configuration(folder, **(one or {})) for one in (before, after))
    return replayed(new, kept(folder / "ledger", recorded(old, *sessions, **options)))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(COMMANDS, max_size=14), min_size=1, max_size=4),
    st.sampled_from(["192.0.2.7", "192.0.2.66", "2001:db8::1"]),
    st.sampled_from(["smtp", "lmtp"]),
    st.booleans(),
)
def test_nothing_changes_with_the_same_configuration(
    tmp_path_factory, dialogues, host, protocol, begun
):
    folder = tmp_path_factory.mktemp("same")
    tables = {
        **STRICT,
        "traps": traps(folder, "trap@example.com"),
        "plugin": [plugin(folder, POLICY)],
    }
    config = configuration(folder, **tables)
    hello = "LHLO" if protocol == "lmtp" else "EHLO"
    first = f"{hello} mail.example.org\r\n" if begun else ""
    sessions = [first + "".join(commands) for commands in dialogues]
    records = recorded(config, *sessions, peer=(host, 4711), protocol=protocol)
    found = replayed(config, kept(folder / "ledger", records))
    assert (found.refused, found.accepted, found.reply, found.problems) == ([], [], [], [])
    assert found.sessions == len(sessions)
    assert found.transactions == sum(isinstance(one, Transaction) for one in records)
    assert not found.interrupted


@pytest.mark.parametrize("recipients", [("carol", "unknown"), ("unknown", "carol")])
def test_nothing_changes_if_recipients_are_refused_for_different_reasons(tmp_path, recipients):
    named = message(*(f"{one}@example.com" for one in recipients), end="")
    tables = {**STRICT, "plugin": [plugin(tmp_path, POLICY)]}
    found = difference(tmp_path, [session(named)], before=tables, after=tables)
    assert (found.transactions, found.unchanged, found.reply) == (1, 1, [])


def test_nothing_changes_if_a_recipient_was_refused_before_the_limit_was_reached(tmp_path):
    names = ("bob", "bob", "carol", "bob", "bob")
    mail = session(message(*(f"{one}@example.com" for one in names)))
    tables = {**STRICT, "plugin": [plugin(tmp_path, POLICY)]}
    found = difference(tmp_path, [mail], before=tables, after=tables)
    assert (found.recipients, found.unchanged, found.reply) == (5, 1, [])


def test_the_number_of_messages_with_content_is_given(tmp_path):
    found = difference(tmp_path, [session(message("bob@example.com"), message("bob@example.com"))])
    assert (found.transactions, found.unchanged, found.content, found.sessions) == (2, 2, 2, 1)


def test_a_new_trap_would_refuse(tmp_path):
    sessions = [
        session(message("bob@example.com", "old@example.com", sender=f"{n}@example.org"))
        for n in range(5)
    ]
    after = {"traps": traps(tmp_path, "# none", "old@example.com closed")}
    found = difference(tmp_path, [*sessions, sessions[0]], after=after)
    assert changes(found.refused) == [("message", "gatepost", "trap", 6)]
    (group,) = found.refused
    assert group.senders == 5
    assert len(group.examples) == findings.MAX_EXAMPLES
    example = group.examples[0]
    assert (example.client, example.sender) == ("192.0.2.7", "0@example.org")
    assert list(example.recipients) == ["bob@example.com", "old@example.com"]
    assert example.old == "accepted"
    assert example.new == "554 5.7.1 Message refused by local policy"
    assert example.detail == "old@example.com in traps, line 2"
    assert found.unchanged == 0


def test_a_trap_that_is_gone_would_let_the_message_pass(tmp_path):
    before = {"traps": traps(tmp_path, "old@example.com")}
    found = difference(tmp_path, [session(message("old@example.com"))], before=before)
    assert changes(found.accepted) == [("message", "gatepost", "trap", 1)]
    example = found.accepted[0].examples[0]
    assert example.old == "554 5.7.1 Message refused by local policy"
    assert example.new == "accepted"


def test_a_removed_domain_refuses_its_recipients(tmp_path):
    before = {"recipients": {"domains": ["example.com", "example.net"]}}
    sent = [
        session(message("bob@example.com", "bob@example.net")),
        session(message("a@example.net")),
    ]
    found = difference(tmp_path, sent, before=before)
    assert changes(found.refused) == [
        ("recipient", "gatepost", "relay-denied", 2),
        ("message", "gatepost", "relay-denied", 1),
    ]
    assert found.content == 1


def test_a_new_domain_accepts_its_recipients(tmp_path):
    after = {"recipients": {"domains": ["example.com", "example.net"]}}
    found = difference(tmp_path, [session(message("a@example.net", end=""))], after=after)
    assert changes(found.accepted) == [
        ("message", "gatepost", "relay-denied", 1),
        ("recipient", "gatepost", "relay-denied", 1),
    ]


def test_a_new_plugin_that_denies_at_mail_would_refuse(tmp_path):
    after = {"plugin": [plugin(tmp_path, POLICY)]}
    sent = [
        session(message("bob@example.com", sender="denied@example.org")),
        session(message("bob@example.com")),
    ]
    found = difference(tmp_path, sent, after=after)
    assert changes(found.refused) == [("message", "policy", "sender", 1)]
    assert found.unchanged == 1


@pytest.mark.parametrize(
    ("host", "hello", "reason"),
    [
        ("192.0.2.66", "mail.example.org", "banned"),
        ("192.0.2.7", "refused.example", "bad-name"),
    ],
)
def test_connections_without_a_message_are_played(tmp_path, host, hello, reason):
    policy = {"plugin": [plugin(tmp_path, POLICY)]}
    sent, peer = [session(hello=f"EHLO {hello}\r\n")], (host, 1)
    found = difference(tmp_path / "a", sent, after=policy | _in(tmp_path), peer=peer)
    assert changes(found.refused) == [("connection", "policy", reason, 1)]
    found = difference(tmp_path / "b", sent, before=policy | _in(tmp_path), peer=peer)
    assert changes(found.accepted) == [("connection", "policy", reason, 1)]


def _in(folder):
    """Return the same plugin in another folder."""
    return {"plugin": [{"use": f"{folder}/policy.py"}]}


def test_a_new_refusal_at_connect_counts_for_each_message(tmp_path):
    after = {"plugin": [plugin(tmp_path, POLICY)]}
    sent = [session(message("bob@example.com"), message("bob@example.com"))]
    found = difference(tmp_path, sent, after=after, peer=("192.0.2.66", 1))
    assert changes(found.refused) == [("message", "policy", "banned", 2)]


def test_another_reply_is_a_change(tmp_path):
    before = {"traps": traps(tmp_path, "t@example.com") | {"reply": "550 5.7.1 No"}}
    after = {"traps": before["traps"] | {"reply": "451 4.7.1 Not now"}}
    found = difference(tmp_path, [session(message("t@example.com"))], before=before, after=after)
    assert changes(found.reply) == [("message", "gatepost", "trap", 1)]
    example = found.reply[0].examples[0]
    assert (example.old, example.new) == ("550 5.7.1 No", "451 4.7.1 Not now")


def test_a_message_that_its_content_spoiled_gets_another_reply(tmp_path):
    policy = plugin(tmp_path, POLICY)
    sent = [session(message("bob@example.com", end="DATA\r\nFrom: me\r\n\r\n.\r\n"))]
    after = {"traps": traps(tmp_path, "bob@example.com")}
    found = difference(tmp_path, sent, before={"plugin": [policy]}, after=after)
    assert changes(found.reply) == [("message", "gatepost", "trap", 1)]
    assert found.reply[0].examples[0].old == "554 5.7.1 no From, please"


def test_rules_about_content_are_not_asked(tmp_path):
    policy = plugin(tmp_path, POLICY)
    sent = [session(message("bob@example.com", end="DATA\r\nFrom: me\r\n\r\n.\r\n"))]
    found = difference(tmp_path, sent, before={"plugin": [policy]})
    assert (found.accepted, found.unchanged, found.content) == ([], 1, 1)


@pytest.mark.parametrize(
    ("limits", "reason", "by"),
    [
        ({"recipients": 1}, "too-many-recipients", "gatepost"),
        ({"message_size": "20"}, "message_size", "limits"),
        ({"transactions": 1}, "too-many-messages", "gatepost"),
    ],
)
def test_a_changed_limit_would_refuse(tmp_path, limits, reason, by):
    first, second = message("bob@example.com"), message("bob@example.com", "b@example.com")
    found = difference(tmp_path, [session(first, second)], after={"limits": limits})
    assert {(one.by, one.reason) for one in found.refused} == {(by, reason)}


DNS = """
from gatepost import Plugin, ResolveError, deny

class Lists(Plugin):
    async def on_connect(self, session):
        try:
            answers = await self.resolver.listed(session.peer.host, "bl.example")
        except ResolveError:
            return deny("no answer", reason="no-answer") if OPTION else None
        return deny("listed", reason="listed") if answers else None
"""


def test_a_refusal_by_a_plugin_that_needs_dns_is_not_decided(tmp_path):
    after = {"plugin": [plugin(tmp_path, DNS.replace("OPTION", "True"), "lists")]}
    found = difference(tmp_path, [session(message("bob@example.com"))] * 3, after=after)
    assert found.refused == []
    assert found.undecided == [findings.Undecided("plugin lists needs DNS", 3)]
    assert found.uses == [findings.Use("lists", "DNS", 3)]


def test_messages_that_pass_are_counted_as_open_if_a_plugin_could_not_decide(tmp_path):
    before = {"traps": traps(tmp_path, "old@example.com")}
    after = {"plugin": [plugin(tmp_path, DNS.replace("OPTION", "False"), "lists")]}
    found = difference(tmp_path, [session(message("old@example.com"))], before=before, after=after)
    assert changes(found.accepted) == [("message", "gatepost", "trap", 1)]
    assert found.accepted[0].open == 1


def test_an_old_refusal_by_a_plugin_that_needs_dns_is_not_decided(tmp_path):
    refusing = """
from gatepost import Plugin, deny
class Lists(Plugin):
    def on_connect(self, session):
        return deny("listed", reason="listed")
"""
    before = {"plugin": [plugin(tmp_path, refusing, "lists")]}
    old = recorded(configuration(tmp_path, **before), session(message("bob@example.com")))
    plugin(tmp_path, DNS.replace("OPTION", "False"), "lists")
    found = replayed(configuration(tmp_path, **before), old)
    assert found.accepted == []
    assert found.undecided == [findings.Undecided("plugin lists needs DNS", 1)]


STORE = """
from gatepost import Plugin, defer

class Greylist(Plugin):
    async def on_rcpt(self, tx, rcpt):
        if await self.store.add(f"{tx.session.peer.host} {rcpt.address}"):
            return defer("Try again", reason="greylisted")
"""


def test_a_refusal_by_a_plugin_that_uses_the_store_is_not_decided(tmp_path):
    after = {"plugin": [plugin(tmp_path, STORE, "greylist")]}
    found = difference(tmp_path, [session(message("bob@example.com"))], after=after)
    assert found.refused == []
    assert [one.why for one in found.undecided] == ["plugin greylist needs the store"]


OUTSIDE = """
import socket, subprocess
from gatepost import Plugin, deny

class Scanner(Plugin):
    def start(self):
        AT_START

    def on_mail(self, tx, sender):
        try:
            AT_MAIL
        except OSError:
            return deny("cannot scan", reason="scanner")
"""
CALLS = [
    "socket.create_connection(('127.0.0.1', 9))",
    "socket.getaddrinfo('example.com', 25)",
    "subprocess.run(['true'])",
]


@pytest.mark.parametrize("call", CALLS)
def test_the_network_and_programs_are_refused(tmp_path, call):
    text = OUTSIDE.replace("AT_START", "pass").replace("AT_MAIL", call)
    after = {"plugin": [plugin(tmp_path, text, "scanner")]}
    found = difference(tmp_path, [session(message("bob@example.com"))], after=after)
    assert found.refused == []
    assert [one.why for one in found.undecided] == ["a plugin needs the network or a program"]


def test_a_plugin_that_needs_the_network_to_start_is_left_out(tmp_path):
    text = OUTSIDE.replace("AT_START", CALLS[0]).replace("AT_MAIL", "raise OSError")
    after = {"plugin": [plugin(tmp_path, text, "scanner"), plugin(tmp_path, POLICY)]}
    sent = [session(message("bob@example.com", sender="denied@example.org"))]
    found = difference(tmp_path, sent, after=after)
    assert found.left_out == ["scanner"]
    assert changes(found.refused) == [("message", "policy", "sender", 1)]


def test_a_plugin_that_cannot_start_for_another_reason_is_an_error(tmp_path):
    text = OUTSIDE.replace("AT_START", "raise RuntimeError('x')").replace("AT_MAIL", "pass")
    with pytest.raises(PluginError, match="scanner: start"):
        difference(tmp_path, [session()], after={"plugin": [plugin(tmp_path, text, "scanner")]})


def test_the_network_is_free_after_a_replay(tmp_path):
    difference(tmp_path, [session()])
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        socket.create_connection(server.getsockname()).close()


def test_a_plugin_that_fails_by_itself_would_defer(tmp_path):
    text = OUTSIDE.replace("AT_START", "pass").replace("AT_MAIL", "1 / 0")
    after = {"plugin": [plugin(tmp_path, text, "scanner")]}
    found = difference(tmp_path, [session(message("bob@example.com"))], after=after)
    assert changes(found.refused) == [("message", "scanner", "plugin-failed", 1)]


HASHED = {"ledger": {"privacy": ["addresses"]}}


def test_rules_about_local_parts_are_not_decided_for_hashed_addresses(tmp_path):
    after = {
        "recipients": {"domains": ["example.com"], "known": ["bob@example.com"]},
        "plugin": [plugin(tmp_path, POLICY)],
    }
    sent = [session(message("bob@example.com", sender="denied@example.org"))]
    found = difference(tmp_path, sent, before=HASHED, after=after)
    assert (found.hashed, found.refused) == (1, [])
    assert {one.why for one in found.undecided} == {
        "addresses are hashed: rules about local parts were not decided"
    }


def test_rules_about_domains_are_decided_for_hashed_addresses(tmp_path):
    after = {"recipients": {"domains": ["example.net"]}}
    found = difference(tmp_path, [session(message("bob@example.com"))], before=HASHED, after=after)
    assert changes(found.refused) == [
        ("message", "gatepost", "relay-denied", 1),
        ("recipient", "gatepost", "relay-denied", 1),
    ]
    found = difference(
        tmp_path / "b",
        [session(message("bob@example.com"))],
        before=HASHED,
        after={"traps": traps(tmp_path / "b", "@example.com")},
    )
    assert changes(found.refused) == [("message", "gatepost", "trap", 1)]


CALLED = """
from gatepost import Plugin, deny

class Facts(Plugin):
    def on_rcpt(self, tx, rcpt):
        s = tx.session
        facts = (s.peer.port, s.protocol, s.listener, s.helo, s.extended, s.tls.version,
                 s.tls.peer_subject, s.auth.user, s.auth.mechanism, str(s.via), dict(s.xclient),
                 tx.received)
        return deny(repr(facts), reason="facts")
"""


def test_the_facts_of_the_client_are_those_of_the_record(tmp_path):
    client = Client(
        "192.0.2.7",
        4711,
        "mail.example.org",
        "me.example",
        "TLSv1.2",
        "AES",
        "CN=me",
        "alice",
        "PLAIN",
        "[::1]:25",
        "lmtp",
        "mx",
        {"NAME": "mail.example.org"},
    )
    tx = Transaction(
        1000.0,
        "a-1.1",
        "a-1",
        client,
        "",
        "accepted",
        reply="250 2.0.0 Ok",
        recipients=[RecipientRecord("bob@example.com")],
        recipients_count=1,
    )
    config = configuration(tmp_path, plugin=[plugin(tmp_path, CALLED, "facts")])
    found = replayed(config, kept(tmp_path / "ledger", [tx]))
    assert found.refused[0].examples[0].new == (
        "550 5.7.1 (4711, 'lmtp', 'mx', 'me.example', True, 'TLSv1.2', 'CN=me', 'alice', 'PLAIN',"
        " '[::1]:25', {'NAME': 'mail.example.org'}, 1000.0)"
    )


def test_a_user_of_the_record_may_relay_as_then(tmp_path):
    tables = {
        "route": [{"for": ["*"], "to": "smtp://127.0.0.1:9", "relay_for": ["authenticated"]}],
        "smtp": {"unauthorised_pipelining": "tolerate"},
    }
    facts = {"auth": AuthFacts("alice", "PLAIN"), "tls": TlsFacts("TLSv1.3", "AES")}
    sent = [session(message("eve@elsewhere.example"))]
    found = difference(tmp_path, sent, before=tables, after=tables, facts=facts)
    assert (found.unchanged, found.recipients) == (1, 1)
    found = difference(tmp_path / "b", sent, before=tables, facts=facts)
    assert changes(found.refused) == [
        ("message", "gatepost", "relay-denied", 1),
        ("recipient", "gatepost", "relay-denied", 1),
    ]


TX = Transaction(
    1000.0,
    "a-1.1",
    "a-1",
    Client("192.0.2.7", helo="me.example"),
    "a@example.org",
    "accepted",
    recipients=[RecipientRecord("bob@example.com")],
    recipients_count=1,
)


@pytest.mark.parametrize(
    "broken",
    [
        msgspec.structs.replace(TX, client=Client("192.0.2.7", helo="me", protocol="gopher")),
        msgspec.structs.replace(TX, client=Client("192.0.2.7", helo="me", protocol="milter")),
        msgspec.structs.replace(TX, client=Client("192.0.2.7")),
        msgspec.structs.replace(TX, client=Client("192.0.2.7", helo="a\r\nQUIT")),
        msgspec.structs.replace(TX, sender="a@b>\r\nRSET"),
        msgspec.structs.replace(TX, time=float("nan"), client=Client("\x00", -1, helo="me")),
    ],
)
def test_a_record_that_cannot_be_played_does_not_stop_the_others(tmp_path, broken):
    found = replayed(configuration(tmp_path), [broken, TX])
    assert (found.invalid, found.unchanged, len(found.problems)) == (1, 1, 1)


def test_an_invalid_record_in_the_ledger_does_not_stop_the_others(tmp_path):
    records = [b"\xc1broken", TX]
    assert replayed(configuration(tmp_path), kept(tmp_path / "ledger", records)).unchanged == 1


def test_connections_that_never_became_sessions_are_not_decided(tmp_path):
    over = Connection(1.0, "a-1", Client("192.0.2.7"), end="connections", reply="421 4.7.0 Busy")
    answer = Answer("helo", "policy", "deny", "bad-name", "550 5.7.1 bad name [a-2]")
    nameless = Connection(1.0, "a-2", Client("192.0.2.7"), answers=[answer], end="quit")
    found = replayed(configuration(tmp_path), kept(tmp_path / "ledger", [over, nameless]))
    assert [one.why for one in found.undecided] == [
        "the connection ended before a session began, or by a limit",
        "the name in HELO was not recorded",
    ]
    assert found.accepted == []


def test_groups_and_senders_are_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(findings, "MAX_GROUPS", 2)
    monkeypatch.setattr(findings, "MAX_SENDERS", 3)
    many = """
from gatepost import Plugin, deny
class Many(Plugin):
    def on_mail(self, tx, sender):
        return deny("no", reason=sender.local)
"""
    after = {"plugin": [plugin(tmp_path, many, "many")]}
    sent = [session(message("bob@example.com", sender=f"{n}@example.org")) for n in range(9)]
    found = difference(tmp_path, sent, after=after)
    assert changes(found.refused) == [
        ("message", "others", "", 7),
        ("message", "many", "0", 1),
        ("message", "many", "1", 1),
    ]
    assert found.refused[0].senders == 3


@settings(max_examples=100, deadline=None)
@given(st.lists(ANY_RECORD, max_size=5))
def test_any_record_is_played_or_counted(tmp_path_factory, records):
    found = replayed(configuration(tmp_path_factory.mktemp("any")), records)
    assert not found.interrupted
    played = sum(isinstance(one, Connection | Transaction) for one in records)
    assert found.transactions + found.invalid <= played
    assert all(isinstance(line, str) for line in listing.lines(found))


def test_recipients_that_are_not_in_the_record_are_counted(tmp_path):
    found = replayed(configuration(tmp_path), [msgspec.structs.replace(TX, recipients_count=103)])
    assert found.unlisted == 102


def test_the_result_as_text():
    example = findings.Example(
        0.0, "a-1.1", "192.0.2.7", "a@x", ("b@y", "c@y"), 5, "accepted", "550 no\nno", "line 1"
    )
    group = findings.Group("message", "gatepost", "trap", 1200, 10_000, 3, [example])
    found = findings.Findings(
        1.0,
        2.0,
        transactions=1500,
        recipients=1,
        unchanged=299,
        content=1,
        hashed=2,
        accepted=[group],
        undecided=[findings.Undecided("why", 7)],
        uses=[findings.Use("lists", "DNS", 4), findings.Use("", "the store", 1)],
        left_out=["scanner"],
        invalid=2,
        problems=["a-9: ValueError: x"],
    )
    assert list(listing.lines(found, UTC)) == [
        "Interrupted: this is the result so far.",
        "1,500 transactions, 1 recipient",
        "from Thu 01 Jan 1970 00:00:01 +0000 to Thu 01 Jan 1970 00:00:02 +0000",
        "299 transactions would have the same result",
        "",
        "Would be refused now",
        "  none",
        "",
        "Would be accepted now",
        "  1,200 messages of more than 10,000 senders: the core, trap",
        "    3 of them depend on plugins that could not decide",
        "    Thu 01 Jan 1970 00:00:00 +0000 192.0.2.7 [a-1.1]",
        "      <a@x> to <b@y>, <c@y> and 3 more",
        "      then: accepted",
        "      now:  550 no no (line 1)",
        "",
        "Would get another reply",
        "  none",
        "",
        "Could not be decided",
        "  1 message got as far as the content; rules about content were not asked",
        "  2 transactions with hashed addresses; rules about local parts were not decided",
        "  7 differences: why",
        "  plugin lists needed DNS: 4 times",
        "  a plugin needed the store: 1 time",
        "  plugins that cannot start without the network: scanner",
        "  2 records could not be played, such as",
        "    a-9: ValueError: x",
    ]

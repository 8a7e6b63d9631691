"""LMTP: one decision per message, one reply per recipient, the result of each target."""

import msgspec
import pytest
from structlog.testing import capture_logs
from tests.session.dialogue import REFUSED, TRAPS, config, plugin

from gatepost.config.schema import RouteConfig
from gatepost.delivery.route import Route as TargetRoute
from gatepost.delivery.routes import Router
from gatepost.delivery.target import DeliveryError
from gatepost.delivery.target import Target as BaseTarget
from gatepost.model.decision import deny
from gatepost.model.reply import Reply
from gatepost.testing import play

ENVELOPE = """
    S: 220 localhost LMTP Gatepost
    C: LHLO client.example
    S: 250
    C: MAIL FROM:<a@client.example>
    C: RCPT TO:<one@example.com>
    C: RCPT TO:<two@example.com>
    S: 250
    S: 250
    S: 250
"""
CONTENT = """
    C: DATA
    S: 354
    C: Subject: hello
    C:
    C: text
    C: .
"""


def lmtp(transcript, plugins=(), **options):
    return play(transcript, plugins, protocol="lmtp", **options)


def test_lhlo_offers_the_keywords_of_ehlo():
    replies = lmtp("S: 220\nC: LHLO x\nS: 250").replies
    assert replies[1] == play("S: 220\nC: EHLO x\nS: 250").replies[1]


def test_message_is_accepted_for_each_recipient():
    played = lmtp(ENVELOPE + CONTENT + "S: 250 2.0.0 Ok, *\nS: 250 2.0.0 Ok, *\nC: QUIT\nS: 221")
    [message] = played.messages
    assert message.recipients == ["one@example.com", "two@example.com"]
    assert b" with LMTP id " in message.content


def test_received_field_names_utf8lmtp():
    mail = "C: MAIL FROM:<> SMTPUTF8\nC: RCPT TO:<ö@example.com>\nS: 250\nS: 250\n"
    played = lmtp("S: 220\nC: LHLO x\nS: 250\n" + mail + CONTENT + "S: 250")
    assert b" with UTF8LMTP id " in played.messages[0].content


def test_trap_refuses_data_once_and_ends_the_transaction():
    trap = "C: RCPT TO:<trap@example.com>\nS: 250\n"
    after = "C: DATA\nC: NOOP\nS: 503 5.5.1 Bad sequence of commands: MAIL first\nS: 250"
    played = lmtp(ENVELOPE + trap + f"C: DATA\nS: {REFUSED}\n" + after, traps=TRAPS)
    assert played.messages == []


KNOWN = {"domains": ["example.com"], "known": ["one@example.com", "two@example.com"]}
HIDDEN = "hidden-page@example.com"


def test_a_trap_that_is_no_user_is_answered_as_a_user_is():
    trap = f"C: RCPT TO:<{HIDDEN}>\nS: 250\nC: DATA\nS: {REFUSED}\n"
    played = lmtp(ENVELOPE + trap, traps=[HIDDEN], config=config(recipients=KNOWN))
    assert played.messages == []


@pytest.mark.parametrize("end", [CONTENT, "C: BDAT 6 LAST\nC: a: b\n"])
def test_after_the_content_a_trap_refuses_the_message_for_each_recipient(end):
    made = config(recipients=KNOWN, traps={"verdict": "end"})
    trap = f"C: RCPT TO:<{HIDDEN}>\nS: 250\n"
    played = lmtp(
        ENVELOPE + trap + end + f"S: {REFUSED}\n" * 3 + "C: NOOP\nS: 250\n",
        traps=[HIDDEN],
        config=made,
    )
    assert played.messages == []


def test_a_message_to_traps_alone_is_held_and_each_recipient_is_answered():
    other = "old-page@example.com"
    made = config(recipients=KNOWN, traps={"verdict": "hold", "hold_share": 1.0})
    start = ENVELOPE.replace("one@example.com", HIDDEN).replace("two@example.com", other)
    played = lmtp(start + CONTENT + "S: 250\nS: 250\n", traps=[HIDDEN, other], config=made)
    assert [one.quarantined for one in played.messages] == ["trap"]


def test_a_trap_that_refuses_only_itself_leaves_the_others_their_replies():
    trap = f"C: RCPT TO:<{HIDDEN}>\nS: 550 5.1.1 No such mailbox [*]\n"
    played = lmtp(ENVELOPE + trap + CONTENT + "S: 250\nS: 250\n", traps=[f"{HIDDEN} class=typo"])
    assert [one.recipients for one in played.messages] == [["one@example.com", "two@example.com"]]


def test_the_mark_of_a_server_in_front_stays():
    marked = CONTENT.replace("    C: Subject", "    C: X-Gatepost-Trap: marked\n    C: Subject")
    [message] = lmtp(ENVELOPE + marked + "S: 250\nS: 250\n").messages
    assert b"X-Gatepost-Trap: marked\r\n" in message.content


def test_trap_refuses_the_only_chunk_for_each_recipient():
    trap = "C: RCPT TO:<trap@example.com>\nS: 250\nC: BDAT 3 LAST\nC: x\nC: NOOP\n"
    played = lmtp(ENVELOPE + trap + f"S: {REFUSED}\n" * 3 + "S: 250", traps=TRAPS)
    assert played.messages == []


def test_trap_refuses_the_first_chunk_once_and_the_last_for_each_recipient():
    trap = "C: RCPT TO:<trap@example.com>\nS: 250\nC: BDAT 3\nC: x\n"
    played = lmtp(
        ENVELOPE
        + trap
        + f"S: {REFUSED}\nC: BDAT 3 LAST\nC: x\nC: NOOP\n"
        + "S: 503\n" * 3
        + "S: 250",
        traps=TRAPS,
    )
    assert played.messages == []


@pytest.mark.parametrize("hook", ["headers", "message", "deliver"])
def test_refusal_of_a_plugin_is_repeated_for_each_recipient(hook):
    played = lmtp(
        ENVELOPE + CONTENT + "S: 554 5.7.1 no [*]\n" * 2 + "C: NOOP\nS: 250",
        [plugin(**{f"on_{hook}": lambda *_args: deny("no")})],
    )
    assert played.messages == []
    assert played.replies[-3] == played.replies[-2]


@pytest.mark.parametrize(
    ("protocol", "commands"),
    [("smtp", "EHLO HELO MAIL"), ("lmtp", "LHLO MAIL")],
)
def test_help_lists_the_commands_of_the_protocol(protocol, commands):
    line = f"S: 214 2.0.0 Commands: {commands} RCPT DATA BDAT RSET NOOP VRFY EXPN HELP QUIT"
    play(f"S: 220\nC: HELP\n{line}", protocol=protocol)


def test_smtp_has_one_reply_and_the_log_names_the_recipient(monkeypatch):
    router = routed((["two@example.com"], Target(FULL)), (["*"], Target()))
    monkeypatch.setattr("gatepost.testing.Capture.on_deliver", lambda *_args: None)
    monkeypatch.setattr("gatepost.session.assemble.make_router", lambda *_args, **_options: router)
    envelope = ENVELOPE.replace("LHLO", "EHLO").replace("LMTP", "ESMTP")
    with capture_logs() as logs:
        play(envelope + CONTENT + "S: 451 4.3.0 Disk full [*]\nC: NOOP\nS: 250")
    [failed] = [log for log in logs if log["event"] == "not delivered"]
    assert failed["recipients"] == ["two@example.com"]


def routed(*routes):
    return Router(
        [(patterns, TargetRoute(target, "test:")) for patterns, target in routes],
        hostname="x.example",
    )


class Target(BaseTarget):
    """Takes messages, or fails."""

    def __init__(self, error=None):
        self.error, self.taken = error, []

    def deliver(self, delivery):
        if self.error is not None:
            raise self.error
        self.taken.append([str(one.address) for one in delivery.recipients])


class LaterTarget(Target):
    """Takes messages or fails, after a wait."""

    async def deliver(self, delivery):
        super().deliver(delivery)


def deliver(monkeypatch, end, *routes, protocol="lmtp", plugins=()):
    """Deliver to one and two with these routes and without capture; return the log events."""
    router = routed(*routes)
    monkeypatch.setattr("gatepost.testing.Capture.on_deliver", lambda *_args: None)
    monkeypatch.setattr("gatepost.session.assemble.make_router", lambda *_args, **_options: router)
    with capture_logs() as logs:
        lmtp(ENVELOPE + CONTENT + end + "C: NOOP\nS: 250", plugins)
    return logs


FULL = DeliveryError("Disk full", detail="/secret")
GONE = DeliveryError("Not here", permanent=True)


@pytest.mark.parametrize("kind", [Target, LaterTarget])
def test_each_recipient_gets_the_result_of_its_target(monkeypatch, kind):
    one, rest, delivered = kind(FULL), kind(), []
    recording = plugin(on_delivered=delivered.append)
    end = "S: 451 4.3.0 Disk full [*]\nS: 250 2.0.0 Ok, *\n"
    logs = deliver(monkeypatch, end, (["one@example.com"], one), (["*"], rest), plugins=[recording])
    assert (one.taken, rest.taken) == ([], [["two@example.com"]])
    [tx] = delivered
    assert [str(rcpt.address) for rcpt in tx.recipients] == ["two@example.com"]
    assert [(str(rcpt.address), rcpt.reply.code) for rcpt in tx.refused] == [
        ("one@example.com", 451)
    ]
    events = {log["event"]: log for log in logs}
    assert events["not delivered"]["detail"] == "/secret"
    assert events["not delivered"]["recipients"] == ["one@example.com"]
    assert events["accepted"]["recipients"] == ["two@example.com"]


def test_replies_are_in_the_order_of_the_recipients(monkeypatch):
    end = "S: 250 2.0.0 Ok, *\nS: 554 5.3.0 Not here [*]\n"
    deliver(monkeypatch, end, (["two@example.com"], Target(GONE)), (["*"], Target()))


def test_no_delivery_is_notified_if_all_targets_fail(monkeypatch):
    delivered = []
    end = "S: 451 4.3.0 Disk full [*]\nS: 554 5.3.0 Not here [*]\n"
    deliver(
        monkeypatch,
        end,
        (["one@example.com"], Target(FULL)),
        (["*"], Target(GONE)),
        plugins=[plugin(on_delivered=delivered.append)],
    )
    assert delivered == []


def test_plugins_get_the_first_success_as_outcome(monkeypatch):
    outcomes = []
    deliver(
        monkeypatch,
        "S: 451 4.3.0 Disk full [*]\nS: 250 2.0.0 Ok, *\n",
        (["one@example.com"], Target(FULL)),
        (["*"], Target()),
        plugins=[plugin(after_deliver=lambda _tx, outcome: outcomes.append(outcome.reply))],
    )
    [reply] = outcomes
    assert (reply.code, [one.code for one in reply.each]) == (250, [451, 250])


def test_missing_route_at_the_end_defers_all_recipients(monkeypatch):
    """This happens only if routes have changed since RCPT."""
    taken = Target()

    def split(_router, _recipients):
        raise DeliveryError("A recipient's mail cannot be delivered now")

    monkeypatch.setattr(Router, "split", split)
    end = "S: 451 4.3.0 A recipient's mail cannot be delivered now [*]\n" * 2
    deliver(monkeypatch, end, (["*"], taken))
    assert taken.taken == []


def test_two_configured_routes_have_their_own_results(tmp_path):
    (tmp_path / "file").write_text("no folder")
    routes = [
        RouteConfig(for_=["one@example.com"], to="maildir:file/x"),
        RouteConfig(to="maildir:box"),
    ]
    made = msgspec.structs.replace(config(), base=tmp_path, route=routes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gatepost.testing.Capture.on_deliver", lambda *_args: None)
        lmtp(ENVELOPE + CONTENT + "S: 451\nS: 250", config=made)
    assert len(list((tmp_path / "box" / "new").iterdir())) == 1


class PartialTarget(Target):
    """Takes mail except for one recipient, with the reply of the next hop."""

    async def deliver(self, delivery):
        one, *rest = delivery.recipients
        self.taken.append([str(rcpt.address) for rcpt in rest])
        return {one: DeliveryError("full", reply=Reply(452, "Mailbox full", "4.2.2"))}


def test_target_may_fail_for_some_recipients(monkeypatch):
    target = PartialTarget()
    end = "S: 452 4.2.2 Mailbox full [*]\nS: 250 2.0.0 Ok, *\n"
    deliver(monkeypatch, end, (["*"], target))
    assert target.taken == [["two@example.com"]]

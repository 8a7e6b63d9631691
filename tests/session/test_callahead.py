"""Call-ahead: the next hop is asked about a recipient that no rule or plugin has decided."""

import pytest
from structlog.testing import capture_logs
from tests.session.dialogue import OPEN, config, plugin

from gatepost.delivery.route import Route
from gatepost.delivery.routes import Router
from gatepost.delivery.target import Target
from gatepost.model.decision import accept, deny
from gatepost.model.reply import Reply
from gatepost.testing import play

UNKNOWN = Reply(550, "User unknown here", "5.1.1")
MAIL = OPEN + "C: MAIL FROM:<a@client.example>\nS: 250\n"


class NextHop(Target):
    """Accepts one user; `asked` are the recipients it was asked about."""

    can_verify = True

    def __init__(self):
        self.asked = []

    def deliver(self, delivery):
        pass

    async def verify(self, _tx, recipient):
        self.asked.append(str(recipient.address))
        return None if recipient.user == "known" else UNKNOWN


class Silent(Target):
    """A target without call-ahead."""

    def deliver(self, delivery):
        pass


@pytest.fixture
def next_hop(monkeypatch):
    made = NextHop()
    routes = [(["other@example.com"], Route(Silent(), "a:")), (["*"], Route(made, "b:"))]
    router = Router(routes, hostname="mx.example.com")
    monkeypatch.setattr("gatepost.session.assemble.make_router", lambda *_args, **_options: router)
    return made


def test_client_gets_the_refusal_of_the_next_hop(next_hop):
    with capture_logs() as logs:
        play(
            MAIL
            + """
            C: RCPT TO:<known@example.com>
            C: RCPT TO:<unknown@example.com>
            C: RCPT TO:<other@example.com>
            S: 250
            S: 550 5.1.1 User unknown here [*]
            S: 250
            C: DATA
            S: 354
            C: .
            S: 250
        """
        )
    assert next_hop.asked == ["known@example.com", "unknown@example.com"]
    [line] = logs
    assert line["recipients"] == ["known@example.com", "other@example.com"]
    assert line["refused_for"] == ["next-hop-refuses"]
    [refused] = line["refused"]
    assert refused.startswith("unknown@example.com: 550 5.1.1 User unknown here [")


def test_a_known_reply_is_used_without_asking(next_hop):
    known = {"known": (None,), "unknown": (UNKNOWN,)}
    next_hop.known_reply = lambda _tx, recipient: known.get(recipient.user)
    play(
        MAIL
        + """
        C: RCPT TO:<known@example.com>
        S: 250
        C: RCPT TO:<unknown@example.com>
        S: 550 5.1.1 User unknown here [*]
        C: RCPT TO:<another@example.com>
        S: 550 5.1.1 User unknown here [*]
    """
    )
    assert next_hop.asked == ["another@example.com"]


def test_plugins_get_the_outcome(next_hop):
    outcomes = []
    after = plugin(after_rcpt=lambda _tx, rcpt, outcome: outcomes.append((rcpt.user, outcome)))
    play(MAIL + "C: RCPT TO:<unknown@example.com>\nS: 550", [after])
    [(user, outcome)] = outcomes
    assert (user, outcome.reply.code) == ("unknown", 550)


@pytest.mark.parametrize(("decision", "code"), [(accept(), "250"), (deny(), "550")])
def test_next_hop_is_not_asked_after_a_decision_of_a_plugin(next_hop, decision, code):
    play(
        MAIL + f"C: RCPT TO:<unknown@example.com>\nS: {code}",
        [plugin(on_rcpt=lambda *_args: decision)],
    )
    assert next_hop.asked == []


def test_next_hop_is_not_asked_about_refused_recipients_and_postmaster(next_hop):
    made = config(recipients={"known": ["known@example.com"]})
    play(
        MAIL
        + """
        C: RCPT TO:<x@elsewhere.example>
        C: RCPT TO:<unknown@example.com>
        C: RCPT TO:<postmaster@example.com>
        S: 550 5.7.1
        S: 550 5.1.1
        S: 250
    """.replace("5.7.1", "5.7.1 *").replace("5.1.1", "5.1.1 *"),
        config=made,
    )
    assert next_hop.asked == []


def test_trap_counts_if_the_next_hop_refuses_it(next_hop):
    play(
        MAIL
        + """
        C: RCPT TO:<trap@example.com>
        C: RCPT TO:<known@example.com>
        S: 550
        S: 250
        C: DATA
        S: 554 5.7.1 *
    """,
        traps=["trap@example.com"],
        config=config(traps={"rcpt": "as-unknown"}),
    )


def test_the_next_hop_is_not_asked_about_a_trap_that_is_answered_as_a_user_is(next_hop):
    played = play(
        MAIL + "C: RCPT TO:<trap@example.com>\nS: 250\nC: DATA\nS: 554 5.7.1 *\n",
        traps=["trap@example.com"],
    )
    assert (played.messages, next_hop.asked) == ([], [])


def test_the_next_hop_is_asked_about_a_trap_in_shadow_mode(next_hop):
    play(
        MAIL + "C: RCPT TO:<trap@example.com>\nS: 550\n",
        traps=["trap@example.com"],
        config=config(traps={"action": "shadow"}),
    )
    assert next_hop.asked == ["trap@example.com"]


@pytest.mark.parametrize(("message_ids", "code"), [("armed", 250), ("shadow", 550), ("off", 550)])
@pytest.mark.usefixtures("next_hop")
def test_an_identifier_that_the_next_hop_does_not_have_is_a_trap(message_ids, code):
    identifier = "20110601093015.ga12345@example.com"
    hits = []
    play(
        MAIL + f"C: RCPT TO:<{identifier}>\nS: {code}\n",
        [plugin(after_rcpt=lambda tx, *_: hits.extend(tx.trap_hits))],
        config=config(traps={"message_ids": message_ids}),
    )
    assert [hit.trap_class for hit in hits] == [] if message_ids == "off" else ["message-id"]


@pytest.mark.usefixtures("next_hop")
def test_recipients_that_the_next_hop_does_not_have_are_many_unknown_recipients():
    lines = "".join(f"C: RCPT TO:<u{at}@example.com>\nS: 550\n" for at in range(10))
    hits = []
    play(
        MAIL + lines + "C: RCPT TO:<known@example.com>\nS: 250\nC: DATA\nS: 554 5.7.1 *\n",
        [plugin(after_data=lambda tx, _: hits.extend(tx.trap_hits))],
        config=config(),
    )
    assert [hit.trap_class for hit in hits] == ["virtual"]

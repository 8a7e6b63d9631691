"""Call-ahead: the next hop is asked about recipients."""

import pytest
from tests.delivery.samples import delivery, recipient
from tests.delivery.smtp.peer import DROP, HANG, OK, Peer, run, settings

from gatepost.delivery.smtp import call_ahead
from gatepost.delivery.smtp.call_ahead import ResultCache
from gatepost.delivery.smtp.relay_target import RelayTarget
from gatepost.model.address import Address
from gatepost.model.facts import set_fact
from gatepost.model.reply import Reply

RCPT, OTHER = recipient("a@example.com"), recipient("b@example.com")
NO = b"550 5.1.1 no\r\n"
NO_MAIL = b"503 5.5.1 no MAIL\r\n"


def ask(script=None, people=(RCPT,), sender=None, **options):
    """Return the results for some recipients, and the peer."""

    async def play():
        async with Peer(script) as peer:
            relay = RelayTarget(peer.hop, settings(**options))
            of = delivery(*people)
            if sender:
                set_fact(of.transaction, "reverse_path", Address.parse(sender))
            answers = [await relay.verify(of.transaction, one) for one in people]
            answers = [answer and str(answer) for answer in answers]
            await relay.stop()
            return answers, peer

    return run(play())


def test_each_recipient_is_asked_in_one_group():
    answers, peer = ask({"RCPT": [OK, NO]}, [RCPT, OTHER])
    assert answers == [None, "550 5.1.1 no"]
    asked = ["MAIL", "RCPT", "RSET"]
    assert peer.verbs == ["EHLO", *asked, *asked, "QUIT"]
    assert peer.connections == 1


def test_results_are_known_as_long_as_they_are_kept():
    async def play():
        async with Peer({"RCPT": [OK, NO]}) as peer:
            relay, tx = RelayTarget(peer.hop, settings()), delivery(RCPT, OTHER).transaction
            assert relay.known_reply(tx, RCPT) is None
            for one in (RCPT, OTHER):
                await relay.verify(tx, one)
            assert relay.known_reply(tx, RCPT) == (None,)
            (refusal,) = relay.known_reply(tx, OTHER)
            assert str(refusal) == "550 5.1.1 no"
            await relay.stop()

    run(play())


CANNOT_SAY = {
    "4yz": {"RCPT": b"450 4.2.0 greylisted\r\n"},
    "421": {"RCPT": (b"421 bye\r\n", DROP)},
    "drop": {"RCPT": DROP},
    "hang": {"RCPT": HANG},
    "mail": {"MAIL": NO, "RCPT": NO},
    "no connection": {"GREETING": DROP},
    "no service": {"GREETING": b"554 no\r\n"},
    "garbage": {"RCPT": b"what?\r\n"},
}


@pytest.mark.parametrize("script", CANNOT_SAY.values(), ids=CANNOT_SAY)
def test_a_problem_is_no_refusal_and_is_not_cached(script, monkeypatch):
    monkeypatch.setattr(call_ahead, "PATIENCE", 0.1 if HANG in script.values() else 10.0)
    answers, peer = ask(script, [RCPT, RCPT])
    assert answers == [None, None]
    assert peer.connections >= 2 or peer.verbs.count("MAIL") == 2


@pytest.mark.parametrize(("rcpt", "answer"), [(OK, None), (NO, "550 5.1.1 no")])
def test_a_result_is_cached(rcpt, answer):
    answers, peer = ask({"RCPT": rcpt}, [RCPT, RCPT])
    assert answers == [answer] * 2
    assert peer.verbs.count("RCPT") == 1


def test_a_time_of_zero_disables_the_cache():
    keep = {"verify_keep": 0.0, "verify_keep_refused": 0.0}
    for script in (OK, NO):
        assert ask({"RCPT": script}, [RCPT, RCPT], **keep)[1].verbs.count("RCPT") == 2


def test_a_recipient_that_needs_smtputf8_is_not_refused():
    assert ask(people=[recipient("ü@example.com")])[0] == [None]


def test_call_ahead_without_pipelining():
    answers, _ = ask({"EHLO": b"250 peer\r\n", "RCPT": [OK, NO]}, [RCPT, OTHER])
    assert answers == [None, "550 5.1.1 no"]
    assert ask({"EHLO": b"250 peer\r\n", "MAIL": NO})[0] == [None]


A, B, C = (("s@x", f"{local}@y") for local in "abc")
REFUSAL = Reply(550, "no", "5.1.1")


def test_results_expire():
    answers = ResultCache(keep=10.0, keep_refused=1.0)
    answers.keep(A, None, 0.0)
    answers.keep(B, REFUSAL, 0.0)
    assert answers.find(A, 0.9) == (None,)
    assert answers.find(B, 0.9) == (REFUSAL,)
    assert answers.find(B, 1.0) is None
    assert answers.find(A, 9.9) == (None,)
    assert answers.find(A, 10.0) is None
    assert answers.find(C, 0.0) is None


def test_a_refused_sender_does_not_affect_other_senders():
    answers = ResultCache(10.0, 10.0)
    answers.keep(("forged@x", "a@y"), REFUSAL, 0.0)
    assert answers.find(A, 0.0) is None


def test_the_least_recently_used_result_is_dropped(monkeypatch):
    monkeypatch.setattr(call_ahead, "MAX_KEPT", 2)
    answers = ResultCache(10.0, 10.0)
    answers.keep(A, None, 0.0)
    answers.keep(B, None, 0.0)
    answers.find(A, 0.0)
    answers.keep(C, None, 0.0)
    assert [answers.find(one, 0.0) for one in (A, B, C)] == [(None,), None, (None,)]


def test_a_refusal_of_mail_on_a_kept_connection_is_asked_again_on_a_new_one():
    other = recipient("other@example.com")
    script = {"MAIL": [OK, b"451 4.7.0 too many messages\r\n", OK], "RCPT": [OK, NO_MAIL, NO]}
    answers, peer = ask(script, [RCPT, other])
    assert answers == [None, "550 5.1.1 no"]
    assert peer.connections == 2

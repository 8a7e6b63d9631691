"""Delivery of a message to several routes and to the queue, and the reply to the client."""

import asyncio

import pytest
from structlog.testing import capture_logs
from tests.delivery.samples import delivery, recipient
from tests.session.dialogue import config

from gatepost.delivery.route import Route
from gatepost.delivery.routes import Router
from gatepost.delivery.target import DeliveryError
from gatepost.delivery.target import Target as BaseTarget
from gatepost.model.address import NULL_PATH, Address
from gatepost.model.endpoint import Endpoint
from gatepost.model.facts import set_fact
from gatepost.model.reply import Reply
from gatepost.model.session import Recipient, Session
from gatepost.session import handover
from gatepost.session.assemble import find_lists, make_setup
from gatepost.session.dialect import DIALECTS, SMTP
from gatepost.session.engine import Engine
from gatepost.wire import events as e

AWAY = DeliveryError("No answer", detail="10.0.0.1: refused")
BUSY = DeliveryError("Busy", reply=Reply(450, "Mailbox busy", "4.2.0"))
NEVER = DeliveryError("No", permanent=True, reply=Reply(554, "Not wanted", "5.7.1"))
FULL = DeliveryError("Disk full", reply=Reply(452, "Insufficient system storage", "4.3.1"))


class Target(BaseTarget):
    """Takes mail except for the local parts in `failures`; `taken` has the local parts."""

    def __init__(self, **failures):
        self.failures, self.taken = failures, []

    async def deliver(self, delivery):
        errors = {
            one: self.failures[one.user] for one in delivery.recipients if one.user in self.failures
        }
        self.taken += [one.user for one in delivery.recipients if one not in errors]
        if len(errors) == len(delivery.recipients):
            raise next(iter(errors.values()))
        return errors


class Spool:
    """Records the recipients put into it with their failures, and the notifications."""

    def __init__(self, error=None, report_error=None):
        self.error, self.kept = error, {}
        self.report_error, self.reported = report_error, []

    async def put(self, _tx, recipients, _message, failures, hold=""):
        if self.error is not None:
            raise self.error
        self.kept |= {one.user: failures.get(one) for one in recipients}

    async def report_successes(self, _tx, _message, successes):
        if self.report_error is not None:
            raise self.report_error
        self.reported.append({one.user: action for one, action in successes.items()})


def hand_over(routes, names, spool=None, protocol="smtp", **notify):
    """Hand over a message for `names`, each at the domain of its route; return the reply.

    `notify` has the NOTIFY parameters by local part.
    """

    async def main():
        setup = make_setup(config(), find_lists(config()))
        bound_routes = [
            ([f"{domain}.example"], Route(target, f"{domain}:", **more))
            for domain, target, more in routes
        ]
        setup.router = Router(bound_routes, hostname="mx.example.com")
        setup.queue = spool
        people = [recipient(f"{name}.example") for name in names]
        for one in people:
            one.params.update({"NOTIFY": notify[one.user]} if one.user in notify else {})
        made = delivery(*people)
        set_fact(made.transaction, "recipients", people)
        set_fact(made.transaction, "message", made.message)
        result = DIALECTS[protocol].hand_over(setup, made.transaction)
        return result if isinstance(result, Reply) else await result

    with capture_logs():
        return asyncio.run(main())


DIRECT, QUEUE, FALLBACK = {}, {"mode": "queue"}, {"fallback": True}


def test_each_target_gets_its_recipients():
    one, two, spool = Target(), Target(), Spool()
    reply = hand_over([("a", one, DIRECT), ("b", two, DIRECT)], ["x@a", "y@b", "z@a"], spool)
    assert (reply.code, one.taken, two.taken, spool.kept) == (250, ["x", "z"], ["y"], {})


@pytest.mark.parametrize("error", [AWAY, BUSY, NEVER])
def test_first_failure_is_the_reply_while_no_target_has_the_message(error):
    one, two, spool = Target(x=error), Target(), Spool()
    reply = hand_over([("a", one, DIRECT), ("b", two, DIRECT)], ["x@a", "y@b"], spool)
    assert reply.code == (error.reply.code if error.reply else 451)
    assert (two.taken, spool.kept) == ([], {})


@pytest.mark.parametrize("error", [AWAY, BUSY, NEVER])
def test_failures_after_a_delivery_are_spooled(error):
    one, two, spool = Target(), Target(y=error), Spool()
    reply = hand_over([("a", one, DIRECT), ("b", two, DIRECT)], ["x@a", "y@b"], spool)
    assert (reply.code, one.taken, spool.kept) == (250, ["x"], {"y": error})


def test_failed_recipients_of_a_target_are_spooled():
    one, spool = Target(y=BUSY), Spool()
    reply = hand_over([("a", one, DIRECT)], ["x@a", "y@a"], spool)
    assert (reply.code, one.taken, spool.kept) == (250, ["x"], {"y": BUSY})


def test_queued_routes_and_failures_are_spooled_together_after_direct_routes():
    one, two, three, spool = Target(), Target(), Target(z=AWAY), Spool()
    routes = [("q", two, QUEUE), ("a", one, DIRECT), ("b", three, DIRECT)]
    reply = hand_over(routes, ["y@q", "x@a", "z@b"], spool)
    assert (reply.code, one.taken, two.taken) == (250, ["x"], [])
    assert spool.kept == {"y": None, "z": AWAY}


def test_nothing_is_spooled_if_the_client_must_try_again():
    one, spool = Target(x=AWAY), Spool()
    reply = hand_over([("q", Target(), QUEUE), ("a", one, DIRECT)], ["y@q", "x@a"], spool)
    assert (reply.code, spool.kept) == (451, {})


def test_error_of_the_spool_is_the_reply():
    reply = hand_over([("q", Target(), QUEUE)], ["y@q"], Spool(FULL))
    assert str(reply) == "452 4.3.1 Insufficient system storage [t1]"


def test_error_of_the_spool_after_a_delivery_defers_the_message():
    reply = hand_over(
        [("a", Target(), DIRECT), ("q", Target(), QUEUE)], ["x@a", "y@q"], Spool(FULL)
    )
    assert reply.code == 452


def test_queued_route_without_a_spool_defers_the_message():
    assert hand_over([("q", Target(), QUEUE)], ["y@q"]).code == 451


def test_fallback_spools_recipients_of_an_unreachable_target():
    spool = Spool()
    reply = hand_over([("a", Target(x=AWAY, y=AWAY), FALLBACK)], ["x@a", "y@a"], spool)
    assert (reply.code, spool.kept) == (250, {"x": AWAY, "y": AWAY})


@pytest.mark.parametrize("error", [BUSY, NEVER])
def test_reply_of_the_next_hop_is_passed_on_despite_a_fallback(error):
    spool = Spool()
    reply = hand_over([("a", Target(x=error), FALLBACK)], ["x@a"], spool)
    assert (reply.code, spool.kept) == (error.reply.code, {})


def codes(reply):
    return [one.code for one in getattr(reply, "each", (reply,))]


def test_each_lmtp_recipient_has_its_own_result():
    spool = Spool()
    routes = [
        ("a", Target(x=BUSY), DIRECT),
        ("q", Target(), QUEUE),
        ("f", Target(w=AWAY), FALLBACK),
    ]
    reply = hand_over(routes, ["x@a", "v@a", "y@q", "w@f"], spool, "lmtp")
    assert codes(reply) == [450, 250, 250, 250]
    assert spool.kept == {"y": None, "w": AWAY}


def test_error_of_the_spool_is_the_reply_of_its_lmtp_recipients():
    routes = [("a", Target(), DIRECT), ("q", Target(), QUEUE), ("f", Target(w=AWAY), FALLBACK)]
    reply = hand_over(routes, ["x@a", "y@q", "w@f"], Spool(FULL), "lmtp")
    assert codes(reply) == [250, 452, 452]


@pytest.mark.parametrize("protocol", ["smtp", "lmtp"])
def test_recipient_without_a_route_defers_the_message(protocol):
    one = Target()
    reply = hand_over([("a", one, DIRECT)], ["x@a", "y@elsewhere"], Spool(), protocol)
    assert (reply.code, one.taken) == (451, [])


class Forwarder(Target):
    """Relays mail; the next hop is responsible for the DSNs of the local parts `taking_on`."""

    final_delivery = False

    def __init__(self, *taking_on, **failures):
        super().__init__(**failures)
        self.taking_on = taking_on

    async def deliver(self, delivery):
        delivery.dsn_delegated.update(
            one for one in delivery.recipients if one.user in self.taking_on
        )
        return await super().deliver(delivery)


NOTIFY = dict.fromkeys("vwxyz", "SUCCESS,FAILURE")


@pytest.mark.parametrize("protocol", ["smtp", "lmtp"])
def test_one_success_dsn_covers_all_delivered_recipients(protocol):
    one, two, three, spool = Target(w=BUSY), Forwarder("z"), Target(), Spool()
    routes = [("a", one, DIRECT), ("b", two, DIRECT), ("q", three, QUEUE)]
    names = ["v@q", "w@a", "x@a", "y@b", "z@b", "n@a", "o@a"]
    hand_over(routes, names, spool, protocol, **NOTIFY, n="NEVER")
    assert spool.reported == [{"x": "delivered", "y": "relayed"}]


@pytest.mark.parametrize("protocol", ["smtp", "lmtp"])
def test_no_success_dsn_if_the_client_must_try_again(protocol):
    spool = Spool(FULL)
    routes = [("a", Target(x=BUSY), DIRECT), ("q", Target(), QUEUE)]
    hand_over(routes, ["x@a", "v@q"], spool, protocol, **NOTIFY)
    assert spool.reported == []


@pytest.mark.parametrize("protocol", ["smtp", "lmtp"])
@pytest.mark.parametrize("spool", [None, Spool(report_error=FULL)])
def test_message_is_accepted_if_its_success_dsn_cannot_be_queued(protocol, spool):
    one = Target()
    reply = hand_over([("a", one, DIRECT)], ["x@a"], spool, protocol, **NOTIFY)
    assert (reply.code, one.taken) == (250, ["x"])


def test_added_recipients_that_fail_are_left_to_the_queue(monkeypatch):
    spooled = []

    async def spool(_setup, _tx, rest):
        spooled.extend(rest)

    monkeypatch.setattr(handover, "_spool", spool)
    named, added = (Recipient(Address("a", f"{name}.example"), {}) for name in ("named", "added"))
    set_fact(added, "added", True)
    failed = {named: DeliveryError("no"), added: DeliveryError("no")}
    asyncio.run(handover._spool_added(None, None, failed))
    assert spooled == [added]
    assert list(failed) == [named]


def replies_of_a_message(domain="example.com"):
    """Return what the engine returns for each event of a message, without a plugin."""

    async def main():
        client = Session("s1", Endpoint("192.0.2.1", 1), Endpoint("192.0.2.9", 25), 0.0)
        engine = Engine(make_setup(config(), find_lists(config())), client, SMTP)
        address = Address("user", domain)
        envelope = [e.Helo("client.example"), e.Mail(NULL_PATH, {}), e.Rcpt(address, {}), e.Data()]
        message = [e.Content(b"Subject: a\r\n\r\nb\r\n"), e.EndOfMessage()]
        return [engine.handle(event) for event in (e.Connected(), *envelope, *message)]

    return asyncio.run(main())


def test_a_message_needs_no_coroutine_if_nothing_waits():
    replies = replies_of_a_message()
    assert [reply and reply.code for reply in replies] == [220, 250, 250, 250, 354, None, 250]


def test_a_refusal_without_a_delay_needs_no_coroutine():
    assert replies_of_a_message("elsewhere.example")[3].code == 550


def test_a_message_without_a_route_needs_no_coroutine(monkeypatch):
    def fail(_self, _recipients):
        raise FULL

    monkeypatch.setattr(Router, "split", fail)
    assert replies_of_a_message()[-1].code == 452

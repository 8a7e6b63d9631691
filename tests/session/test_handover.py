"""Who has a message when the client is told so: several routes, the queue, and what is left."""

import asyncio

import pytest
from structlog.testing import capture_logs
from tests.delivery.samples import delivery, recipient
from tests.session.dialogue import config

from gatepost.delivery.route import Route
from gatepost.delivery.routes import Router
from gatepost.delivery.target import DeliveryError
from gatepost.delivery.target import Target as BaseTarget
from gatepost.model.reply import Reply
from gatepost.session.assemble import find_lists, make_setup
from gatepost.session.handover import HAND_OVER

AWAY = DeliveryError("Nobody there", detail="10.0.0.1: refused")
BUSY = DeliveryError("Busy", reply=Reply(450, "Mailbox busy", "4.2.0"))
NEVER = DeliveryError("No", permanent=True, reply=Reply(554, "Not wanted", "5.7.1"))
FULL = DeliveryError("Disk full", reply=Reply(452, "Insufficient system storage", "4.3.1"))


class Target(BaseTarget):
    """Takes mail but for those in `failures`, by local part; `taken` has the local parts."""

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
    """Keeps who is put into it, with what came of them before."""

    def __init__(self, error=None, mute=None):
        self.error, self.kept = error, {}
        self.mute, self.told = mute, []

    async def put(self, _tx, recipients, _message, failures):
        if self.error is not None:
            raise self.error
        self.kept |= {one.user: failures.get(one) for one in recipients}

    async def report(self, _tx, _message, successes):
        if self.mute is not None:
            raise self.mute
        self.told.append({one.user: action for one, action in successes.items()})


def hand_over(routes, names, spool=None, protocol="smtp", **notify):
    """Hand a message for `names`, each at the domain of its route; return the reply.

    `notify` is what NOTIFY says for a local part.
    """

    async def main():
        setup = make_setup(config(), find_lists(config()))
        ways = [
            ([f"{domain}.example"], Route(target, f"{domain}:", **more))
            for domain, target, more in routes
        ]
        setup.router = Router(ways, hostname="mx.example.com")
        setup.spool = spool
        people = [recipient(f"{name}.example") for name in names]
        for one in people:
            one.params.update({"NOTIFY": notify[one.user]} if one.user in notify else {})
        made = delivery(*people)
        made.transaction.recipients[:] = people
        made.transaction.message = made.message
        return await HAND_OVER[protocol](setup, made.transaction)

    with capture_logs():
        return asyncio.run(main())


DIRECT, QUEUE, FALLBACK = {}, {"mode": "queue"}, {"fallback": True}


def test_every_target_has_its_recipients():
    one, two, spool = Target(), Target(), Spool()
    reply = hand_over([("a", one, DIRECT), ("b", two, DIRECT)], ["x@a", "y@b", "z@a"], spool)
    assert (reply.code, one.taken, two.taken, spool.kept) == (250, ["x", "z"], ["y"], {})


@pytest.mark.parametrize("error", [AWAY, BUSY, NEVER])
def test_as_long_as_nobody_has_it_the_client_is_told_why(error):
    one, two, spool = Target(x=error), Target(), Spool()
    reply = hand_over([("a", one, DIRECT), ("b", two, DIRECT)], ["x@a", "y@b"], spool)
    assert reply.code == (error.reply.code if error.reply else 451)
    assert (two.taken, spool.kept) == ([], {})


@pytest.mark.parametrize("error", [AWAY, BUSY, NEVER])
def test_once_somebody_has_it_the_rest_is_spooled(error):
    one, two, spool = Target(), Target(y=error), Spool()
    reply = hand_over([("a", one, DIRECT), ("b", two, DIRECT)], ["x@a", "y@b"], spool)
    assert (reply.code, one.taken, spool.kept) == (250, ["x"], {"y": error})


def test_what_a_target_leaves_is_spooled():
    one, spool = Target(y=BUSY), Spool()
    reply = hand_over([("a", one, DIRECT)], ["x@a", "y@a"], spool)
    assert (reply.code, one.taken, spool.kept) == (250, ["x"], {"y": BUSY})


def test_the_queue_takes_what_is_its_own_with_the_rest_and_last():
    one, two, three, spool = Target(), Target(), Target(z=AWAY), Spool()
    routes = [("q", two, QUEUE), ("a", one, DIRECT), ("b", three, DIRECT)]
    reply = hand_over(routes, ["y@q", "x@a", "z@b"], spool)
    assert (reply.code, one.taken, two.taken) == (250, ["x"], [])
    assert spool.kept == {"y": None, "z": AWAY}


def test_nothing_is_spooled_where_the_client_tries_again():
    one, spool = Target(x=AWAY), Spool()
    reply = hand_over([("q", Target(), QUEUE), ("a", one, DIRECT)], ["y@q", "x@a"], spool)
    assert (reply.code, spool.kept) == (451, {})


def test_a_full_spool_is_the_clients_to_know():
    reply = hand_over([("q", Target(), QUEUE)], ["y@q"], Spool(FULL))
    assert str(reply) == "452 4.3.1 Insufficient system storage [t1]"


def test_a_full_spool_after_a_delivery_is_not_a_loss():
    reply = hand_over(
        [("a", Target(), DIRECT), ("q", Target(), QUEUE)], ["x@a", "y@q"], Spool(FULL)
    )
    assert reply.code == 452


def test_there_may_be_no_spool():
    assert hand_over([("q", Target(), QUEUE)], ["y@q"]).code == 451


def test_a_fallback_is_for_whom_nobody_answers():
    spool = Spool()
    reply = hand_over([("a", Target(x=AWAY, y=AWAY), FALLBACK)], ["x@a", "y@a"], spool)
    assert (reply.code, spool.kept) == (250, {"x": AWAY, "y": AWAY})


@pytest.mark.parametrize("error", [BUSY, NEVER])
def test_an_answer_of_the_next_hop_is_the_clients(error):
    spool = Spool()
    reply = hand_over([("a", Target(x=error), FALLBACK)], ["x@a"], spool)
    assert (reply.code, spool.kept) == (error.reply.code, {})


def codes(reply):
    return [one.code for one in getattr(reply, "each", (reply,))]


def test_each_recipient_has_its_own_way_over_lmtp():
    spool = Spool()
    routes = [
        ("a", Target(x=BUSY), DIRECT),
        ("q", Target(), QUEUE),
        ("f", Target(w=AWAY), FALLBACK),
    ]
    reply = hand_over(routes, ["x@a", "v@a", "y@q", "w@f"], spool, "lmtp")
    assert codes(reply) == [450, 250, 250, 250]
    assert spool.kept == {"y": None, "w": AWAY}


def test_a_full_spool_over_lmtp():
    routes = [("a", Target(), DIRECT), ("q", Target(), QUEUE), ("f", Target(w=AWAY), FALLBACK)]
    reply = hand_over(routes, ["x@a", "y@q", "w@f"], Spool(FULL), "lmtp")
    assert codes(reply) == [250, 452, 452]


@pytest.mark.parametrize("protocol", ["smtp", "lmtp"])
def test_nobody_is_dropped_who_has_no_route(protocol):
    one = Target()
    reply = hand_over([("a", one, DIRECT)], ["x@a", "y@elsewhere"], Spool(), protocol)
    assert (reply.code, one.taken) == (451, [])


class Forwarder(Target):
    """Hands mail on; the next hop sees to the notices of `knowing`, by local part."""

    final_delivery = False

    def __init__(self, *knowing, **failures):
        super().__init__(**failures)
        self.knowing = knowing

    async def deliver(self, delivery):
        known = [one for one in delivery.recipients if one.user in self.knowing]
        delivery.dsn_delegated.update(known)
        return await super().deliver(delivery)


ASKED = dict.fromkeys("vwxyz", "SUCCESS,FAILURE")


@pytest.mark.parametrize("protocol", ["smtp", "lmtp"])
def test_a_sender_who_wants_to_know_is_told_once_of_all_who_have_it(protocol):
    one, two, three, spool = Target(w=BUSY), Forwarder("z"), Target(), Spool()
    routes = [("a", one, DIRECT), ("b", two, DIRECT), ("q", three, QUEUE)]
    names = ["v@q", "w@a", "x@a", "y@b", "z@b", "n@a", "o@a"]
    hand_over(routes, names, spool, protocol, **ASKED, n="NEVER")
    assert spool.told == [{"x": "delivered", "y": "relayed"}]


@pytest.mark.parametrize("protocol", ["smtp", "lmtp"])
def test_nobody_is_told_of_what_comes_again(protocol):
    spool = Spool(FULL)
    routes = [("a", Target(x=BUSY), DIRECT), ("q", Target(), QUEUE)]
    hand_over(routes, ["x@a", "v@q"], spool, protocol, **ASKED)
    assert spool.told == []


@pytest.mark.parametrize("protocol", ["smtp", "lmtp"])
@pytest.mark.parametrize("spool", [None, Spool(mute=FULL)])
def test_a_notice_that_cannot_be_kept_is_not_worth_a_second_copy(protocol, spool):
    one = Target()
    reply = hand_over([("a", one, DIRECT)], ["x@a"], spool, protocol, **ASKED)
    assert (reply.code, one.taken) == (250, ["x"])

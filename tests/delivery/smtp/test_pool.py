"""Pooled connections: shared, limited, replaced."""

import asyncio

import pytest
from tests.delivery.samples import delivery, message, recipient
from tests.delivery.smtp.peer import DROP, EHLO, OK, POLITE, Peer, run, settings
from tests.waiting import until

from gatepost.delivery.smtp.relay import Relay
from gatepost.delivery.target import DeliveryError

CONTENT = b"Subject: x\r\n\r\nHello\r\n"
RCPT = recipient("a@example.com")
BUSY = "451 4.4.5 Too many connections to next hop, please try again later"


def played(scenario, script=None, **options):
    """Run a scenario with a peer and a relay to it; return the peer."""

    async def play():
        async with Peer(script) as peer:
            relay = Relay(peer.hop, settings(**options))
            await scenario(relay, peer)
            await relay.stop()
        return peer

    return run(play())


async def send(relay, *people):
    return await relay.deliver(delivery(*(people or (RCPT,)), of=message(CONTENT)))


def test_a_connection_closes_after_the_maximum_of_messages():
    async def five(relay, _peer):
        for _ in range(5):
            assert await send(relay) is None

    assert played(five, messages_per_connection=2).verbs.count("EHLO") == 3


def test_an_idle_timeout_of_zero_keeps_no_connection():
    async def two(relay, _peer):
        await send(relay)
        await send(relay)

    assert played(two, idle_timeout=0.0).connections == 2


def test_an_idle_connection_is_closed_after_the_timeout():
    async def wait(relay, peer):
        await send(relay)
        await peer.ended.wait()  # the peer closes at QUIT

    assert played(wait, idle_timeout=0.05).verbs[-1] == "QUIT"


def test_the_limit_of_connections_is_kept():
    async def many(relay, peer):
        async with asyncio.TaskGroup() as group:
            for _ in range(12):
                group.create_task(send(relay))

    peer = played(many, connections=3)
    assert peer.connections == 3
    assert len(peer.messages) == 12


def test_waiting_too_long_for_a_connection_is_an_error():
    async def two(relay, peer):
        first = asyncio.create_task(send(relay))
        await until(lambda: "MAIL" in peer.verbs)
        with pytest.raises(DeliveryError) as caught:
            await send(relay)
        assert str(caught.value.reply) == BUSY
        first.cancel()
        await asyncio.wait([first])

    played(two, {"MAIL": "hang"}, connections=1, connect_timeout=0.5)


def test_a_cancelled_turn_is_passed_on():
    async def three(relay, peer):
        first = asyncio.create_task(send(relay))
        await until(lambda: "MAIL" in peer.verbs)
        second, third = (asyncio.create_task(send(relay)) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        second.cancel()
        assert await third is None
        assert peer.connections == 2

    played(three, {"MAIL": ["hang", OK]}, connections=1)


def test_a_connection_is_reset_and_reused_after_a_refusal():
    async def two(relay, _peer):
        failures = await send(relay, RCPT)
        assert str(failures[RCPT].reply) == "550 5.1.1 unknown"
        assert await send(relay) is None

    refused = b"550 5.1.1 unknown\r\n"
    peer = played(two, {"RCPT": [refused, OK], "DATA": [b"503 5.5.1 no\r\n", POLITE["DATA"]]})
    assert peer.connections == 1
    assert peer.verbs[4:7] == ["RSET", "MAIL", "RCPT"]


STALE = {
    "closed": [OK, DROP],
    "sent 421": [OK, (b"421 4.4.2 idle for too long\r\n", DROP)],
    "broke off": [OK, (b"garbage\r\n", DROP)],
}


@pytest.mark.parametrize("how", STALE)
def test_a_stale_connection_is_replaced_once(how):
    async def two(relay, _peer):
        assert await send(relay) is None
        assert await send(relay) is None

    peer = played(two, {"MAIL": [*STALE[how], OK]})
    assert peer.connections == 2
    assert len(peer.messages) == 2


def test_a_connection_closed_while_idle_is_not_used():
    async def two(relay, peer):
        assert await send(relay) is None
        peer.close_connections()
        await until(lambda: not relay._pool._idle[0][2].usable)
        assert await send(relay) is None

    assert played(two).verbs.count("MAIL") == 2


def test_data_after_quit_is_dropped():
    async def one(relay, peer):
        await send(relay)
        link = relay._pool._idle[0][2]
        for _ in range(3):
            link.data_received(b"421 4.3.2 bye\r\n")
        assert link._answers == []
        assert not link.usable
        assert await send(relay) is None

    assert played(one).connections == 2


def test_a_delivery_on_a_new_connection_is_not_repeated():
    async def one(relay, _peer):
        with pytest.raises(DeliveryError):
            await send(relay)

    assert played(one, {"MAIL": [DROP, OK]}).connections == 1


@pytest.mark.parametrize("end", [DROP, (b"421 bye\r\n", DROP)])
def test_a_delivery_is_not_repeated_after_content_was_sent(end):
    async def two(relay, _peer):
        assert await send(relay) is None
        (failure,) = (await send(relay)).values()
        assert failure.reply.code == 451

    peer = played(two, {"END": [OK, end, OK]})
    assert (peer.connections, len(peer.messages)) == (1, 2)


def test_a_cancelled_delivery_leaves_no_connection():
    async def two(relay, peer):
        task = asyncio.create_task(send(relay))
        await until(lambda: peer.messages)
        task.cancel()
        await asyncio.wait([task])
        assert relay._pool.unused
        assert await send(relay) is None

    assert played(two, {"END": ["hang", OK]}).connections == 2


def test_a_stopped_pool_is_unused():
    async def one(relay, _peer):
        await send(relay)
        await relay.stop()
        assert relay._pool.unused

    assert played(one, {"EHLO": EHLO}).verbs[-1] == "QUIT"


def test_a_connection_without_a_reply_to_quit_is_aborted(monkeypatch):
    monkeypatch.setattr("gatepost.delivery.smtp.connection.pool.QUIT_TIMEOUT", 0.01)

    async def one(relay, _peer):
        await send(relay)

    played(one, {"QUIT": "hang"})


ENOUGH = [b"451 4.7.0 too many messages\r\n", b"452 later\r\n", b"550 5.7.1 no more\r\n"]


NO_MAIL = b"503 5.5.1 no MAIL\r\n"


def refusing(second, third, *, pipelining=True):
    """Return a script with these replies to the second and the third MAIL."""
    if not pipelining:
        return {"MAIL": [OK, second, third]}
    rest = {
        verb: [usual, NO_MAIL, usual if third is OK else NO_MAIL]
        for verb, usual in (("RCPT", OK), ("DATA", POLITE["DATA"]))
    }
    return {"MAIL": [OK, second, third], **rest}


@pytest.mark.parametrize("ehlo", [EHLO, b"250 peer\r\n"], ids=["pipelining", "alone"])
@pytest.mark.parametrize("reply", ENOUGH)
def test_a_refusal_of_mail_on_a_kept_connection_is_repeated_on_a_new_one(reply, ehlo):
    async def three(relay, _peer):
        for _ in range(3):
            assert await send(relay) is None

    peer = played(three, {"EHLO": ehlo, **refusing(reply, OK, pipelining=ehlo is EHLO)})
    assert (len(peer.messages), peer.connections) == (3, 2)
    assert peer.verbs.count("QUIT") == 2


@pytest.mark.parametrize("reply", ENOUGH)
def test_a_refusal_of_mail_is_repeated_once_only(reply):
    async def two(relay, _peer):
        assert await send(relay) is None
        with pytest.raises(DeliveryError) as caught:
            await send(relay)
        assert str(caught.value.reply) == reply.decode().strip()

    peer = played(two, refusing(reply, reply))
    assert (peer.verbs.count("MAIL"), peer.connections) == (3, 2)


def test_a_refusal_of_mail_on_a_new_connection_is_not_repeated():
    async def one(relay, _peer):
        with pytest.raises(DeliveryError):
            await send(relay)

    peer = played(one, {"MAIL": ENOUGH[0], "RCPT": NO_MAIL, "DATA": NO_MAIL})
    assert (peer.verbs.count("MAIL"), peer.connections) == (1, 1)

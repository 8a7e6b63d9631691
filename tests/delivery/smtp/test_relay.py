"""Deliveries to a next hop with any behaviour: the results, and content that is never sent."""

import asyncio

import msgspec
import pytest
from hypothesis import given
from hypothesis import settings as settings_of_hypothesis
from hypothesis import strategies as st
from tests.delivery.samples import delivery, message, recipient
from tests.delivery.smtp.peer import (
    DROP,
    EHLO,
    HANG,
    IMPATIENT,
    OK,
    READ,
    Peer,
    run,
    settings,
)
from tests.waiting import until

from gatepost.delivery.smtp.connection import downgrades
from gatepost.delivery.smtp.hop import Hop
from gatepost.delivery.smtp.relay import Relay
from gatepost.delivery.target import DeliveryError
from gatepost.model.message import Message

A, B = recipient("a@example.com"), recipient("b@example.com")
CONTENT = b"Subject: x\r\n\r\n.Hello\r\n"
NO = b"550 5.7.1 no\r\n"
LATER = b"451 4.7.1 later\r\n"
BYE = b"421 4.3.2 bye\r\n"
CHUNKING = EHLO.replace(b"250 SIZE", b"250-CHUNKING\r\n250 SIZE")
ALONE = b"250 peer\r\n"
PROTOCOLS = ["smtp", "lmtp"]


def outcome(failures, people=(A, B)):
    """Return the result of each recipient: "" or the reply."""
    return ["" if one not in (failures or {}) else str(failures[one].reply) for one in people]


async def deliver(peer, *, content=CONTENT, people=(A, B), times=1, **options):
    """Return the results of some deliveries."""
    relay = Relay(peer.hop, settings(**options))
    results = []
    for _ in range(times):
        try:
            failures = await relay.deliver(delivery(*people, of=message(content)))
            results.append(outcome(failures, people))
        except DeliveryError as error:
            results.append((str(error.reply), error.detail.partition(": ")[2]))
    await relay.stop()
    return results


def play(script=None, scheme="smtp", **more):
    async def converse():
        async with Peer(script, scheme) as peer:
            return await deliver(peer, **more), peer

    return run(converse())


@pytest.mark.parametrize("ehlo", [EHLO, CHUNKING, ALONE], ids=["pipelining", "chunking", "alone"])
@pytest.mark.parametrize("scheme", PROTOCOLS)
def test_a_message_is_delivered_on_one_connection(scheme, ehlo):
    hello = "EHLO" if scheme == "smtp" else "LHLO"
    end = OK if scheme == "smtp" else OK + OK
    results, peer = play({hello: ehlo, "END": end, "BDAT": end}, scheme, times=2)
    assert results == [["", ""]] * 2
    chunked = ehlo is CHUNKING
    assert peer.messages == [CONTENT if chunked else b"Subject: x\r\n\r\n..Hello\r\n.\r\n"] * 2
    once = ["MAIL FROM", "RCPT TO", "RCPT TO", f"BDAT {len(CONTENT)} LAST" if chunked else "DATA"]
    assert peer.connections == 1
    assert [line.split(":")[0] for line in peer.lines] == [
        f"{hello} gate.example",
        *once,
        *once,
        "QUIT",
    ]


@pytest.mark.parametrize("ehlo", [EHLO, CHUNKING], ids=["data", "chunking"])
@pytest.mark.parametrize("scheme", PROTOCOLS)
@pytest.mark.parametrize("refusal", [NO, None])
def test_a_next_hop_with_dsn_takes_over_success_reports(scheme, ehlo, refusal):
    hello, end = {"smtp": ("EHLO", OK), "lmtp": ("LHLO", OK + OK)}[scheme]
    end = refusal * (len(end) // len(OK)) if refusal else end

    async def dsn_delegated(ehlo):
        async with Peer({hello: ehlo, "END": end, "BDAT": end}, scheme) as peer:
            relay, made = Relay(peer.hop, settings()), delivery(A, B, of=message(CONTENT))
            failures = await relay.deliver(made)
            await relay.stop()
            return [one for one in made.dsn_delegated if one not in (failures or {})]

    assert run(dsn_delegated(ehlo)) == []
    delegated = run(dsn_delegated(ehlo.replace(b"250 SIZE", b"250-DSN\r\n250 SIZE")))
    assert set(delegated) == (set() if refusal else {A, B})


@pytest.mark.parametrize("ehlo", [EHLO, CHUNKING], ids=["data", "chunking"])
@pytest.mark.parametrize("scheme", PROTOCOLS)
@pytest.mark.parametrize("end", [b"250 2.0.0 Ok: queued as 4X\r\n", NO])
def test_the_reply_of_the_next_hop_is_kept(scheme, ehlo, end):
    async def converse():
        ends = end if scheme == "smtp" else NO + end
        hello = "EHLO" if scheme == "smtp" else "LHLO"
        async with Peer({hello: ehlo, "END": ends, "BDAT": ends}, scheme) as peer:
            relay, made = Relay(peer.hop, settings()), delivery(A, B, of=message(CONTENT))
            await relay.deliver(made)
            await relay.stop()
            return made.transaction.next_hops, str(peer.hop)

    replies, name = run(converse())
    assert list(replies.values()) == ([] if end == NO else ["250 2.0.0 Ok: queued as 4X"])
    assert all(one.startswith(name) for one in replies)


class BreaksOff(Message):
    """Content that ends with an error."""

    def __iter__(self):
        yield CONTENT
        raise OSError(5, "Input/output error")


@pytest.mark.parametrize("ehlo", [EHLO, CHUNKING, ALONE], ids=["pipelining", "chunking", "alone"])
@pytest.mark.parametrize("scheme", PROTOCOLS)
def test_incomplete_content_is_never_ended(scheme, ehlo):
    async def converse():
        async with Peer({"EHLO": ehlo, "LHLO": ehlo}, scheme) as peer:
            relay = Relay(peer.hop, settings())
            broken = BreaksOff(100)
            broken._size = 2 * len(CONTENT)
            with pytest.raises(OSError, match="Input/output"):
                await relay.deliver(delivery(A, of=broken))
            await until(peer.ended.is_set)
            assert peer.messages == []
            await relay.deliver(delivery(A, of=message(CONTENT)))
            await relay.stop()
            return peer

    peer = run(converse())
    assert (len(peer.messages), peer.connections) == (1, 2)


def test_a_missing_crlf_is_added_for_data_only():
    assert play(content=b"a\r\nb")[1].messages == [b"a\r\nb\r\n.\r\n"]
    assert play({"EHLO": CHUNKING}, content=b"a\r\nb")[1].messages == [b"a\r\nb"]


def test_helo_follows_a_refused_ehlo():
    results, peer = play({"EHLO": b"502 what?\r\n"})
    assert results == [["", ""]]
    assert peer.lines[:3] == [
        "EHLO gate.example",
        "HELO gate.example",
        "MAIL FROM:<sender@example.net>",
    ]


NO_REPLY, LATER_REPLY = "550 5.7.1 no", "451 4.7.1 later"
LOST = "451 4.4.2 Connection to next hop lost, please try again later"
UNREACHABLE = "451 4.4.1 Cannot connect to next hop, please try again later"
ODD = "451 4.5.0 Protocol error from next hop, please try again later"
CLOSED = "the connection was closed"
SILENT = "timeout after 1 seconds"
UNKNOWN = "; unknown whether the message was taken"

# The replies of the next hop, and the results: one for each recipient, or one error.
STAGES = {
    "greeting 554": ({"GREETING": b"554 go away\r\n"}, (UNREACHABLE, "554 go away")),
    "greeting 421": ({"GREETING": BYE}, (UNREACHABLE, "421 4.3.2 bye")),
    "greeting odd": (
        {"GREETING": b"SSH-2.0\r\n"},
        (ODD, "expected a reply code and text, found 'SSH-2.0'"),
    ),
    "greeting two": ({"GREETING": b"220 a\r\n220 b\r\n"}, (ODD, "unexpected reply: 220")),
    "no greeting": ({"GREETING": DROP}, (LOST, CLOSED)),
    "silence": ({"GREETING": HANG}, (LOST, SILENT)),
    "ehlo 4": ({"EHLO": LATER}, (UNREACHABLE, "451 4.7.1 later")),
    "ehlo, helo 5": ({"EHLO": NO, "HELO": NO}, (UNREACHABLE, "550 5.7.1 no")),
    "ehlo drop": ({"EHLO": DROP}, (LOST, CLOSED)),
    "mail 5": ({"MAIL": NO, "RCPT": NO, "DATA": NO}, (NO_REPLY, "MAIL: 550 5.7.1 no")),
    "mail 4": ({"MAIL": LATER, "RCPT": NO, "DATA": NO}, (LATER_REPLY, "MAIL: 451 4.7.1 later")),
    "mail 421": ({"MAIL": (BYE, DROP)}, ("451 4.3.2 bye", "421 4.3.2 bye")),
    "mail 421 and more": ({"MAIL": BYE, "RCPT": LATER}, ("451 4.3.2 bye", "421 4.3.2 bye")),
    "mail drop": ({"MAIL": DROP}, (LOST, CLOSED)),
    "mail 354": ({"MAIL": b"354 go\r\n"}, (ODD, "Mail answered with 354")),
    "mail refused, rcpt not": ({"MAIL": NO}, (ODD, "Rcpt accepted out of order")),
    "rcpt hang": ({"RCPT": HANG}, (LOST, SILENT)),
    "rcpt one 5": ({"RCPT": [NO, OK]}, [NO_REPLY, ""]),
    "rcpt one 4": ({"RCPT": [OK, LATER]}, ["", LATER_REPLY]),
    "rcpt all": ({"RCPT": [NO, LATER], "DATA": NO}, [NO_REPLY, LATER_REPLY]),
    "rcpt all, data not": ({"RCPT": NO}, [NO_REPLY] * 2),
    "rcpt all, drop": ({"RCPT": NO, "DATA": DROP}, [NO_REPLY] * 2),
    "rcpt 421": ({"RCPT": [OK, (BYE, DROP)]}, ("451 4.3.2 bye", "421 4.3.2 bye")),
    "rcpt drop": ({"RCPT": [NO, DROP]}, (LOST, CLOSED)),
    "data 5": ({"DATA": NO}, (NO_REPLY, "DATA: 550 5.7.1 no")),
    "data 4": ({"DATA": LATER}, (LATER_REPLY, "DATA: 451 4.7.1 later")),
    "data 250": ({"DATA": OK}, (ODD, "Data answered with 250")),
    "data early": ({"RCPT": [OK + OK, OK]}, (ODD, "Data answered with 250")),
    "end 5": ({"END": NO}, [NO_REPLY] * 2),
    "end 4": ({"END": LATER}, [LATER_REPLY] * 2),
    "end 421": ({"END": BYE}, ["451 4.3.2 bye"] * 2),
    "end drop": ({"END": DROP}, [LOST] * 2),
    "end hang": ({"END": HANG}, [LOST] * 2),
    "end 354": ({"END": b"354 more\r\n"}, [LOST] * 2),
    "end in two pieces": ({"END": (b"250-2.0.0 o", b"k\r\n250 2.0.0 ok\r\n")}, ["", ""]),
    "end mixed codes": ({"END": b"250-ok\r\n550 no\r\n"}, [LOST] * 2),
    "odd text": ({"END": b"550 5.7.1 \xff\x1b[0m\tno\r\n"}, ["550 5.7.1 ??[0m?no"] * 2),
}


@pytest.mark.parametrize("stage", STAGES)
def test_a_failure_at_every_stage(stage):
    script, expected = STAGES[stage]
    slow = IMPATIENT if HANG in script.values() else {}
    (result,), _ = play(script, **slow)
    assert result == expected


# Content


LARGE = b"x" * 998 + b"\r\n"


def large(folder):
    """Return a message of 20 MB, in a file."""
    made = message(b"", threshold=0, folder=folder)
    for _ in range(200):
        made.write(LARGE * 100)
    return made


def play_large(script, folder, scheme="smtp", people=(A,), **options):
    """Return the result of a delivery of 20 MB, and the peer."""

    async def converse():
        async with Peer(script, scheme) as peer:
            relay = Relay(peer.hop, settings(**options))
            with large(folder) as content:
                try:
                    failures = await relay.deliver(delivery(*people, of=content))
                    return outcome(failures, people), peer
                except DeliveryError as error:
                    return (str(error.reply), error.detail.partition(": ")[2]), peer
                finally:
                    await relay.stop()

    return run(converse())


NOT_LIMITED = EHLO.replace(b" SIZE 100000", b" SIZE")


class Watched:
    """A message that records, at each piece, how much of it is not sent yet."""

    def __init__(self, content, links):
        self._content = content
        self._links = links
        self.full_size = content.full_size
        self.most = 0

    def __iter__(self):
        for piece in self._content:
            waiting = self._links[0]._transport.get_write_buffer_size()
            self.most = max(self.most, waiting)
            yield piece


def test_a_large_message_waits_for_the_next_hop(tmp_path):
    links = []

    class Watching(Relay):
        async def _dial(self, client):
            links.append(await super()._dial(client))
            return links[0]

    async def converse():
        script = {"EHLO": CHUNKING.replace(b" SIZE 100000", b" SIZE")}
        async with Peer(script) as peer:
            relay = Watching(peer.hop, settings())
            with large(tmp_path) as content:
                watched = Watched(content, links)
                assert await relay.deliver(delivery(A, of=watched)) is None
            await relay.stop()
            assert peer.messages == [LARGE * 20_000]
            return watched.most

    assert run(converse()) < 1_000_000


def test_a_next_hop_that_stops_reading_times_out(tmp_path):
    script = {"EHLO": NOT_LIMITED, "DATA": (b"354 go\r\n", HANG)}
    result, _ = play_large(script, tmp_path, data_timeout=1.0)
    assert result == (LOST, SILENT)


@pytest.mark.parametrize("refusal", [b"552 5.3.4 too big\r\n", b"421 5.3.4 too big\r\n"])
def test_a_refusal_within_the_content_counts(tmp_path, refusal):
    script = {"EHLO": NOT_LIMITED, "DATA": (b"354 go\r\n", READ, refusal, HANG)}
    expected = f"{'552' if refusal[:3] == b'552' else '451'} 5.3.4 too big"
    assert play_large(script, tmp_path)[0] == [expected]
    script["LHLO"] = script.pop("EHLO")
    assert play_large(script, tmp_path, "lmtp", (A, B))[0] == [expected] * 2


@pytest.mark.parametrize("what", [DROP, b"250 2.0.0 taken already\r\n"], ids=["drop", "lie"])
def test_other_replies_within_the_content_are_protocol_errors(tmp_path, what):
    script = {"EHLO": NOT_LIMITED, "DATA": (b"354 go\r\n", READ, what, HANG)}
    result, _ = play_large(script, tmp_path)
    assert result[0] in (LOST, ODD)


@pytest.mark.parametrize("ehlo", [EHLO, CHUNKING], ids=["data", "bdat"])
@pytest.mark.parametrize("content", [b"a\nb\r\n", b"a\rb\r\n", b"a\0b\r\n", b"a\r"])
def test_content_with_bare_line_ends_is_not_sent(ehlo, content):
    ((reply, detail),), peer = play({"EHLO": ehlo}, content=b"Subject: x\r\n\r\n" + content)
    assert reply == ODD
    assert detail.startswith("content not sent: a bare CR")
    assert peer.messages == []


def test_an_unknown_result_is_logged():
    async def converse():
        async with Peer({"END": DROP}) as peer:
            relay = Relay(peer.hop, settings())
            failures = await relay.deliver(delivery(A, of=message(CONTENT)))
            await relay.stop()
            return failures[A].detail

    assert run(converse()).endswith(CLOSED + UNKNOWN)


def test_lmtp_replies_before_the_connection_is_lost_count():
    (result,), _ = play({"LHLO": EHLO, "END": (OK, DROP)}, "lmtp")
    assert result == ["", LOST]
    (result,), _ = play({"LHLO": EHLO, "END": NO + b"garbage\r\n"}, "lmtp")
    assert result == [NO_REPLY, LOST]
    (result,), _ = play({"LHLO": EHLO, "END": OK + BYE}, "lmtp")
    assert result == ["", "451 4.3.2 bye"]
    (result,), _ = play({"LHLO": EHLO, "END": NO + OK}, "lmtp")
    assert result == [NO_REPLY, ""]


def test_a_message_over_the_size_limit_is_not_sent():
    small = EHLO.replace(b"100000", b"10")
    ((reply, _),), peer = play({"EHLO": small})
    assert reply == "552 5.3.4 Message size 22 exceeds size limit 10 of next hop"
    assert peer.verbs == ["EHLO", "QUIT"]


def test_addresses_that_need_smtputf8_are_not_sent():
    people = (recipient("ü@example.com"),)
    (result,), peer = play(people=people)
    assert result == ["550 5.6.7 Next hop does not support SMTPUTF8, which an address requires"]
    assert "MAIL" not in peer.verbs


@pytest.mark.parametrize("ehlo", [EHLO, ALONE], ids=["pipelining", "alone"])
def test_refusals_are_the_same_without_pipelining(ehlo):
    (result,), peer = play({"EHLO": ehlo, "RCPT": [NO, OK]})
    assert result == [NO_REPLY, ""]
    assert len(peer.messages) == 1
    ((reply, _),), peer = play({"EHLO": ehlo, "MAIL": NO, "RCPT": LATER, "DATA": LATER})
    assert reply == NO_REPLY
    ((reply, _),), _ = play({"EHLO": ehlo, "DATA": NO})
    assert reply == NO_REPLY


# Any replies

ANYTHING = st.sampled_from(
    [
        *(OK, NO, LATER, BYE, OK + OK, b"354 go\r\n", b"220 x\r\n", b"250-a\r\n550 b\r\n"),
        *(EHLO, CHUNKING, ALONE, b"garbage\r\n", b"250 ok\n", b"\xff\xfe\r\n", DROP, HANG),
        *((b"25", b"0 ok\r\n"), (b"354 go\r\n", DROP), (OK, DROP), b"", b"334 \r\n"),
    ]
)
VERBS = ["GREETING", "EHLO", "HELO", "MAIL", "RCPT", "DATA", "END", "BDAT", "RSET", "QUIT"]
LIMITS = dict.fromkeys(IMPATIENT, 0.05)


@settings_of_hypothesis(max_examples=60)
@given(st.dictionaries(st.sampled_from(VERBS), st.lists(ANYTHING, min_size=1, max_size=3)))
def test_any_next_hop_gives_a_result(script):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gatepost.delivery.smtp.connection.pool.QUIT_TIMEOUT", 0.05)
        results, _ = play({verb: [*actions] for verb, actions in script.items()}, times=2, **LIMITS)
    for result in results:
        for reply in result[:1] if isinstance(result, tuple) else result:
            assert reply == "" or reply[:1] in "45"


@pytest.mark.parametrize("more", [BYE, OK, NO, b"garbage\r\n", BYE + BYE], ids=repr)
@pytest.mark.parametrize("ehlo", [EHLO, CHUNKING, ALONE], ids=["pipelining", "chunking", "alone"])
@pytest.mark.parametrize("scheme", PROTOCOLS)
def test_only_the_first_reply_to_the_end_of_a_message_counts(scheme, ehlo, more):
    hello, end = {"smtp": ("EHLO", OK), "lmtp": ("LHLO", OK + OK)}[scheme]
    results, peer = play({hello: ehlo, "END": end + more, "BDAT": end + more}, scheme, times=2)
    assert results == [["", ""]] * 2
    assert (len(peer.messages), peer.connections) == (2, 2)


@pytest.mark.parametrize("verb", ["GREETING", "EHLO", "MAIL", "RCPT", "DATA"])
@pytest.mark.parametrize("ehlo", [EHLO, ALONE], ids=["pipelining", "alone"])
def test_a_second_reply_never_leads_to_a_second_delivery(verb, ehlo):
    usual = {"GREETING": b"220 peer\r\n", "EHLO": ehlo, "DATA": b"354 go\r\n"}
    script = {"EHLO": ehlo, verb: usual.get(verb, OK) + BYE}
    (result,), peer = play(script)
    if result == ["", ""]:
        assert len(peer.messages) == 1
    else:
        assert peer.messages == []
        assert result[0].startswith("451 ")


@pytest.mark.parametrize("scheme", PROTOCOLS)
def test_replies_that_end_in_lf_only_are_accepted(scheme):
    hello, end = {"smtp": ("EHLO", OK), "lmtp": ("LHLO", OK + OK)}[scheme]
    replies = {"GREETING": b"220 peer\r\n", hello: EHLO, "MAIL": OK, "RCPT": OK}
    replies |= {"DATA": b"354 go\r\n", "END": end}
    script = {verb: one.replace(b"\r\n", b"\n") for verb, one in replies.items()}
    results, _ = play({**script, "DATA": b"354 go\r\n"}, scheme)
    assert results == [["", ""]]


@pytest.mark.parametrize("loss", [DROP, HANG])
def test_lost_commands_are_repeated_without_pipelining(loss):
    options = {"command_timeout": 0.2} if loss is HANG else {}
    results, peer = play({"RCPT": [loss, OK]}, times=3, **options)
    assert results == [["", ""]] * 3
    assert (len(peer.messages), peer.connections) == (3, 2)


def test_a_next_hop_that_closes_after_a_group_gets_no_group_next_time():
    results, _peer = play({"MAIL": [DROP, OK]}, times=2)
    assert results[0][0].startswith("451 4.4.2 ")
    assert results[1] == ["", ""]


def test_pipelining_is_used_again_after_a_while():
    async def converse():
        loop = asyncio.get_running_loop()
        async with Peer({"RCPT": [DROP, OK]}) as peer:
            relay = Relay(peer.hop, settings())
            await relay.deliver(delivery(A, of=message(CONTENT)))
            offered = {"PIPELINING": "", "SIZE": ""}
            relay._downgrades.apply(offered)
            assert offered == {"SIZE": ""}
            later = loop.time() + downgrades.DURATION
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(loop, "time", lambda: later)
                offered = {"PIPELINING": ""}
                relay._downgrades.apply(offered)
                assert offered == {"PIPELINING": ""}
            await relay.stop()

    run(converse())


def test_every_address_of_a_name_is_tried(monkeypatch):
    async def converse():
        async with Peer({"GREETING": b"421 busy\r\n"}) as busy:
            port = busy.hop.port
            async with Peer(at=("127.0.0.2", port)) as peer:
                loop = asyncio.get_running_loop()

                async def look_up(_host, port, **_options):
                    return [(2, 1, 6, "", (f"127.0.0.{last}", port)) for last in (9, 1, 1, 2)]

                monkeypatch.setattr(loop, "getaddrinfo", look_up)
                relay = Relay(Hop("smtp", "mail.example", port), settings())
                assert await relay.deliver(delivery(A, of=message(CONTENT))) is None
                await relay.stop()
                return busy.connections, len(peer.messages)

    assert run(converse()) == (1, 1)


def test_a_refused_password_is_tried_once_only():
    async def converse():
        script = {"EHLO": b"250-peer\r\n250 AUTH PLAIN\r\n", "AUTH": b"535 5.7.8 no\r\n"}
        async with Peer(script) as first, Peer({}, at=("127.0.0.2", first.hop.port)) as second:
            made = msgspec.structs.replace(settings(user="u", auth_in_clear=True), password="p")
            relay = Relay(first.hop, made, ["127.0.0.1", "127.0.0.2"])
            with pytest.raises(DeliveryError, match="AUTH PLAIN: 535"):
                await relay.deliver(delivery(A, of=message(CONTENT)))
            await relay.stop()
            return second.connections

    assert run(converse()) == 0


NO_BDAT = b"502 5.5.1 what?\r\n"


@pytest.mark.parametrize("code", [b"500", b"501", b"502", b"504"])
@pytest.mark.parametrize("scheme", PROTOCOLS)
def test_a_next_hop_without_bdat_gets_data(scheme, code):
    hello, many = {"smtp": ("EHLO", 1), "lmtp": ("LHLO", 2)}[scheme]
    no = NO_BDAT.replace(b"502", code) * many
    script = {hello: CHUNKING, "BDAT": no, "END": OK * many}
    results, peer = play(script, scheme, times=3)
    assert results == [["", ""]] * 3
    assert peer.verbs.count("BDAT") == 1
    assert peer.verbs.count("DATA") == 3
    assert peer.connections == 2


def test_content_that_a_next_hop_reads_as_commands_is_not_delivered_twice():
    script = {"EHLO": CHUNKING, "BDAT": NO_BDAT + b"500 5.5.1 Subject:?\r\n" * 3}
    results, peer = play(script)
    assert results == [["", ""]]
    assert (peer.verbs.count("BDAT"), peer.verbs.count("DATA"), peer.connections) == (1, 1, 2)


def test_bdat_on_a_kept_connection_is_repeated_with_data_too():
    script = {"EHLO": CHUNKING, "BDAT": [OK, NO_BDAT]}
    results, peer = play(script, times=2)
    assert results == [["", ""]] * 2
    assert (len(peer.messages), peer.connections) == (3, 2)


@pytest.mark.parametrize("reply", [b"550 5.7.1 spam\r\n", b"552 5.3.4 big\r\n", b"554 no\r\n"])
def test_a_refusal_of_the_message_after_bdat_is_final(reply):
    results, peer = play({"EHLO": CHUNKING, "BDAT": reply})
    assert results == [[reply.decode().strip()] * 2]
    assert (peer.verbs.count("BDAT"), "DATA" in peer.verbs) == (1, False)


@pytest.mark.parametrize("ehlo", [EHLO, CHUNKING], ids=["data", "chunking"])
def test_a_return_path_of_the_client_is_relayed(ehlo):
    content = b"Return-Path: <x@y>\r\nSubject: x\r\n\r\nHello\r\n"
    assert play({"EHLO": ehlo}, content=content)[1].messages[0].startswith(content)

"""The scan of the header block: hops, this server's own Received fields, Message-ID, Date."""

import pytest
from tests.session.dialogue import OPEN, config

from gatepost.model.address import Address
from gatepost.model.session import Recipient
from gatepost.session.content.scan import MAX_FIELD, MAX_ID, HeaderScan
from gatepost.testing import play

ONE = "one@example.com"
FOREIGN = b"Received: from a by b (Postfix) with SMTP id 1\r\n\tfor <one@example.com>; now\r\n"


def own(recipient=ONE, host="mx.example.com", name="Received"):
    return (
        f"{name}: from c ([192.0.2.1])\r\n\tby {host} (Gatepost) with ESMTP id x.1"
        f"\r\n\tfor <{recipient}>;\r\n\tnow\r\n"
    ).encode()


def counted(content, size=10_000, limit=50, recipients=(ONE,)):
    of_message = [Recipient(Address(*one.split("@")), {}) for one in recipients]
    counter = HeaderScan(limit, "mx.example.com", of_message)
    for at in range(0, len(content), size):
        if counter.add(content[at : at + size]):
            return counter
    counter.finish()
    return counter


@pytest.mark.parametrize("size", [1, 2, 3, 7, 10_000])
@pytest.mark.parametrize(
    ("content", "hops", "looped"),
    [
        (b"", 0, False),
        (b"\r\n" + FOREIGN, 0, False),
        (b"text\r\n" + FOREIGN, 1, False),
        (FOREIGN * 3 + b"\r\n" + FOREIGN, 3, False),
        (FOREIGN * 3, 3, False),
        (b"rEceived : x", 1, False),
        (b"X-Received: x\r\nA: b\r\n Received: x\r\nReceived-SPF: x\r\n\r\n", 0, False),
        (own() + b"\r\n", 1, False),
        (own() + FOREIGN + own(name="RECEIVED") + b"\r\n", 3, True),
        (own() + own(), 2, True),
        (own() + own("two@example.com") + b"\r\n", 2, False),
        (own() + own(host="other.example") + b"\r\n", 2, False),
        (own().replace(b" (Gatepost)", b"\r\n (Gatepost)") * 2, 2, True),
        (b"A:" + b" b\r\n" * MAX_FIELD + FOREIGN + b"\r\n", 1, False),
        (b"Received: " + b"x" * 2 * MAX_FIELD + b"\r\n\r\n" + FOREIGN, 1, False),
        (b"Received: " + b"x" * 2 * MAX_FIELD + b"\r\n" + FOREIGN, 2, False),
    ],
)
def test_hops_are_the_same_in_any_pieces(content, hops, looped, size):
    counter = counted(content, size)
    assert (counter.hops, counter.looped) == (hops, looped)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 10_000])
@pytest.mark.parametrize(
    ("content", "message_id", "dated"),
    [
        (b"", None, False),
        (b"\r\nMessage-ID: <1@x>\r\nDate: y", None, False),
        (b"Subject: x\r\n\r\nMessage-ID: <1@x>\r\nDate: y", None, False),
        (b"Message-ID: <1@x>\r\nDate: y\r\n\r\n", "<1@x>", True),
        (b"DATE : y\r\nmessage-id\t:\r\n <1@x>", "<1@x>", True),
        (FOREIGN + b"Message-ID: <1@x>\r\nMessage-ID: <2@x>\r\n" + FOREIGN, "<1@x>", False),
        (b"Message-ID:\r\nMessage-ID: <2@x>\r\n\r\n", "", False),
        (b"X-Date: y\r\nX-Message-ID: <1@x>\r\nA: b\r\n Date: y\r\n\r\n", None, False),
        (b"Message-ID: <\xff\x1b@x>\r\n\r\n", "<\ufffd\x1b@x>", False),
        (b"Message-ID: " + b"x" * 9 * MAX_FIELD + b"\r\nDate: y\r\n\r\n", "x" * MAX_ID, True),
    ],
)
def test_message_id_and_date_are_the_same_in_any_pieces(content, message_id, dated, size):
    found = counted(content, size)
    assert (found.message_id, found.dated) == (message_id, dated)


def test_counting_ends_at_the_limit():
    counter = counted(FOREIGN * 1000, limit=50)
    assert (counter.hops, counter.too_many) == (51, True)


def test_a_loop_of_another_recipient_is_not_one_of_this_message():
    assert not counted(own("two@example.com") * 2).looped


def send(fields, data="DATA", **options):
    lines = [*fields.decode().replace("\t", " ").split("\r\n")[:-1], "Subject: x", "", "text"]
    content = [*(f"C: {line}" for line in lines), "C: ."]
    if data == "BDAT":
        size = sum(len(line) + 2 for line in lines)
        content = [f"C: BDAT {size} LAST", *content[:-1]]
    else:
        content = ["C: DATA", "S: 354", *content]
    envelope = [f"C: MAIL FROM:<a@client.example>\nC: RCPT TO:<{ONE}>\nS: 250\nS: 250"]
    text = "\n".join([OPEN, *envelope, *content, "S: *"])
    result = play(text, config=config(**options))
    return result.replies[-1], len(result.messages)


@pytest.mark.parametrize("data", ["DATA", "BDAT"])
@pytest.mark.parametrize(
    ("fields", "reply", "messages"),
    [
        (FOREIGN * 50, "250 2.0.0 Ok", 1),
        (FOREIGN * 51, "554 5.4.6 Too many hops [", 0),
        (own(host="localhost"), "250 2.0.0 Ok", 1),
        (own(host="localhost") * 2, "554 5.4.6 Mail loops back to this server [", 0),
    ],
)
def test_a_message_that_loops_is_refused_at_its_end(fields, reply, messages, data):
    answer, delivered = send(fields, data)
    assert answer.startswith(reply)
    assert delivered == messages


def test_the_number_of_hops_is_configured():
    assert send(FOREIGN * 3, limits={"hops": 2})[0].startswith("554 5.4.6 Too many hops")

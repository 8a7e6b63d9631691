"""Mail handed to real servers: what they get is what was sent, and never more than one message.

Each server stands behind each way that mail goes to it: directly or by the queue, by BDAT where the
server offers it or by DATA, in the clear or under TLS.
"""

import contextlib
import functools
import itertools
import re

import pytest
from tests.e2e.conftest import relay, relaying
from tests.e2e.raw import SMUGGLER, Raw, codes, envelope, second_message, stuffed
from tests.e2e.server import LIMIT, USERS, eventually
from tests.net import authority
from tests.vectors import SMUGGLING
from tools import exim, opensmtpd, postfix

SIZE = LIMIT - 200_000  # what the servers take; the gate takes more
HEADER = (
    b"Subject: relayed\r\n"
    b"From: sender@client.example\r\n"
    b"Date: Mon, 1 Jan 2024 08:00:00 +0000\r\n"
    b"Message-ID: <1@client.example>\r\n"
)


CLEAR, SECURED = 'tls = "none"', 'tls = "verified", ca = "ca.pem"'
WAYS = {
    "direct": ("direct", f"{SECURED}, verify = false"),
    "queue": ("queue", CLEAR),
    "direct by DATA": ("direct", f"{CLEAR}, chunking = false"),
    "queue by DATA": ("queue", f"{SECURED}, chunking = false"),
}
# The mailbox whose mail goes this way, and one that the servers do not have.
BOX = {way: f"{user}@example.com" for way, user in zip(WAYS, USERS, strict=True)}
REFUSED = {way: address.replace("@", "+refused@") for way, address in BOX.items()}
numbers = itertools.count()


def run_postfix(certificate):
    refused = ", ".join(f"{address}=REJECT" for address in REFUSED.values())
    refusing = f"check_recipient_access inline:{{{refused}}}, permit_mynetworks, reject"
    cert, key = map(str, certificate)
    return postfix.running(
        {
            "mynetworks": "127.0.0.0/8",
            "smtpd_recipient_restrictions": refusing,
            "message_size_limit": str(SIZE),
            "smtpd_tls_security_level": "may",
            "smtpd_tls_cert_file": cert,
            "smtpd_tls_key_file": key,
            "smtpd_tls_received_header": "yes",
        }
    )


def run_exim(certificate):
    return exim.running(f"message_size_limit = {SIZE}", [*REFUSED.values()], certificate)


def run_opensmtpd(_certificate):
    return opensmtpd.running(f'smtp max-message-size "{SIZE}"', [*REFUSED.values()])


SERVERS = {
    "postfix": (postfix.why_not, run_postfix),
    "exim": (exim.why_not, run_exim),
    "opensmtpd": (opensmtpd.why_not, run_opensmtpd),
}
# OpenSMTPD has no TLS here, and knows no other way than DATA.
PAIRS = [
    *itertools.product(("postfix", "exim"), WAYS),
    *itertools.product(("opensmtpd",), ("queue", "direct by DATA")),
]


def behind(ways):
    """Return what runs a test with each server behind those of these ways that it knows."""
    return pytest.mark.parametrize(("name", "way"), [pair for pair in PAIRS if pair[1] in ways])


everywhere = behind(WAYS)
directly = behind(["direct", "direct by DATA"])
secured = behind(["direct", "queue by DATA"])
asking = behind(["queue", "direct by DATA", "queue by DATA"])


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """Start a server with a gate in front of it, each once; tests use them in any order."""
    with contextlib.ExitStack() as stack:

        @functools.cache
        def start(name):
            why_not, _ = SERVERS[name]
            if why := why_not():
                pytest.skip(why)
            return stack.enter_context(guarded(name, tmp_path_factory.mktemp(name)))

        yield start


@contextlib.contextmanager
def guarded(name, folder):
    """Run a server and a gate in front of it; nothing may ever be smuggled through."""
    _, run = SERVERS[name]
    authority.write_authority(folder)
    with run(authority.write(folder, "127.0.0.1", stem="downstream")) as downstream:
        routes = [
            relay(downstream.port, client, mode, BOX[way]) for way, (mode, client) in WAYS.items()
        ]
        with relaying(folder, *routes) as gate:
            yield downstream, gate
        eventually(downstream.is_idle)
        assert not smuggled(downstream)


@pytest.fixture
def downstream(start, name):
    return start(name)[0]


@pytest.fixture
def gate(start, name):
    return start(name)[1]


def smuggled(downstream):
    """Return the mails whose own envelope is that of a message inside another."""
    headers = [mail.partition(b"\n\n")[0] for mail in downstream.delivered()]
    return [header for header in headers if f"<{SMUGGLER}>".encode() in header]


def box(way, name="box"):
    """Return an address whose mail goes that way, and that nobody has written to."""
    return BOX[way].replace("@", f"+{name}{next(numbers)}@")


def by_bdat(client, octets):
    client.send(b"BDAT %d LAST\r\n" % len(octets) + octets)
    return client.reply()


def by_data(client, octets):
    assert codes(client.exchange("DATA")) == ["354"]
    client.send(octets)
    return client.reply()


def as_delivered(content):
    """Return content as it is in a mailbox file, with its trace fields cut off."""
    trace, _, rest = content.partition(HEADER.replace(b"\r\n", b"\n"))
    assert b"by mx.example.com (Gatepost) with ESMTP id " in trace
    return rest


@everywhere
@pytest.mark.parametrize("send", [by_bdat, by_data])
def test_what_is_sent_is_what_arrives(gate, downstream, way, send):
    body = (
        b"\r\n.dots\r\n..more\r\n.\r\n\r\n..\r\nna\xc3\xafve \xe4\r\n"
        + b"x" * 5000
        + b"\r\n.last\r\n"
    )
    octets = HEADER + body if send is by_bdat else stuffed(HEADER + body)
    boxes = [box(way, "first"), box(way, "second")]
    with Raw(gate.port) as client:
        mail, *rcpts = envelope(*boxes)
        assert codes(client.exchange(f"{mail} BODY=8BITMIME", *rcpts)) == ["250", "250", "250"]
        assert send(client, octets)[:3] == "250"
    for address in boxes:
        (mail,) = eventually(lambda address=address: downstream.mails(address))
        assert as_delivered(mail) == body.replace(b"\r\n", b"\n")


@everywhere
def test_a_last_line_that_does_not_end(gate, downstream, way):
    address = box(way)
    with Raw(gate.port) as client:
        assert codes(client.exchange(*envelope(address))) == ["250", "250"]
        assert by_bdat(client, HEADER + b"\r\n.\r\n.last")[:3] == "250"
    (mail,) = eventually(lambda: downstream.mails(address))
    assert as_delivered(mail) == b"\n.\n.last\n"


@everywhere
def test_a_large_message(gate, downstream, way):
    body = b"\r\n" + b".line of text\r\n" * (SIZE // 16)
    address = box(way)
    with Raw(gate.port) as client:
        mail, rcpt = envelope(address)
        assert codes(client.exchange(f"{mail} SIZE={len(HEADER + body)}", rcpt)) == ["250", "250"]
        assert by_data(client, stuffed(HEADER + body))[:3] == "250"
    (mail,) = eventually(lambda: downstream.mails(address))
    assert as_delivered(mail) == body.replace(b"\r\n", b"\n")


@everywhere
def test_no_sequence_makes_two_messages_of_one(gate, downstream, way):
    for sequence, send in itertools.product(SMUGGLING, (by_bdat, by_data)):
        outer, inner = box(way, "outer"), box(way, "inner")
        with Raw(gate.port) as client:
            assert codes(client.exchange(*envelope(outer))) == ["250", "250"]
            octets = HEADER + b"\r\nbody" + sequence + second_message(inner)
            assert send(client, octets).startswith("550 5.6.0 "), sequence
    eventually(downstream.is_idle)
    assert not smuggled(downstream)


@everywhere
def test_an_end_of_data_in_a_chunk_stays_inside(gate, downstream, way):
    outer, inner = box(way, "outer"), box(way, "inner")
    body = b"\r\nbody\r\n.\r\n" + second_message(inner)
    with Raw(gate.port) as client:
        assert codes(client.exchange(*envelope(outer))) == ["250", "250"]
        assert by_bdat(client, HEADER + body)[:3] == "250"
    (mail,) = eventually(lambda: downstream.mails(outer))
    assert as_delivered(mail) == body.replace(b"\r\n", b"\n")
    eventually(downstream.is_idle)
    assert downstream.mails(inner) == []


@asking
def test_what_the_server_refuses_is_refused_at_rcpt(gate, downstream, way):
    taken = box(way)
    with Raw(gate.port) as client:
        client.exchange("MAIL FROM:<sender@client.example>")
        taking, refusing = client.exchange(f"RCPT TO:<{taken}>", f"RCPT TO:<{REFUSED[way]}>")
        assert (taking[:3], refusing[:2]) == ("250", "55")
        assert by_data(client, stuffed(HEADER))[:3] == "250"
    assert eventually(lambda: downstream.mails(taken))
    assert downstream.mails(REFUSED[way]) == []


@directly
def test_a_message_larger_than_the_server_takes(gate, downstream, way):
    address, body = box(way), b"\r\n" + b"line\r\n" * (SIZE // 6)
    assert SIZE < len(HEADER + body) < LIMIT
    with Raw(gate.port) as client:
        assert codes(client.exchange(*envelope(address))) == ["250", "250"]
        assert by_bdat(client, HEADER + body)[:9] == "552 5.3.4"
    assert downstream.mails(address) == []


@secured
def test_it_is_handed_over_under_tls(gate, downstream, way):
    address = box(way)
    with Raw(gate.port) as client:
        assert codes(client.exchange(*envelope(address))) == ["250", "250"]
        assert by_bdat(client, HEADER)[:3] == "250"
    (mail,) = eventually(lambda: downstream.mails(address))
    received, _, _ = mail.partition(b"(Gatepost)")
    assert b"TLS1.3" in received or b"TLSv1.3" in received


@pytest.mark.parametrize(
    ("name", "way", "chunked"), [("exim", "direct", True), ("exim", "direct by DATA", False)]
)
def test_bdat_is_used_where_it_is_offered_and_wanted(gate, downstream, way, chunked):
    address = box(way)
    with Raw(gate.port) as client:
        assert codes(client.exchange(*envelope(address))) == ["250", "250"]
        assert by_data(client, stuffed(HEADER))[:3] == "250"
    (mail,) = eventually(lambda: downstream.mails(address))
    received = re.search(rb"\n\tid (\S+)\n", mail)[1].decode()
    (line,) = [one for one in downstream.log().splitlines() if f" {received} <= " in one]
    assert (" K " in line) == chunked

"""The commands for a delivery, by the extensions of the next hop."""

import pytest
from tests.delivery.samples import SENDER, delivery, message

from gatepost.delivery.smtp.connection.envelope import make_commands
from gatepost.delivery.target import DeliveryError
from gatepost.model.address import Address
from gatepost.model.session import Recipient

ALL = {"SIZE": "1000", "8BITMIME": "", "SMTPUTF8": "", "DSN": "", "AUTH": "PLAIN"}
PARAMS = {"SIZE": "9", "BODY": "8BITMIME", "RET": "HDRS", "ENVID": "e", "AUTH": "<>"}
RCPT_PARAMS = {"NOTIFY": "NEVER", "ORCPT": "rfc822;x@y"}
CONTENT = b"Subject: x\r\n\r\nHello\r\n"
NO_UTF8 = "550 5.6.7 Next hop does not support SMTPUTF8"


def rcpt(text, params=None):
    return Recipient(Address.parse(text), params or {})


def envelope(
    offered, *people, sender=SENDER, params=None, content=CONTENT, added=(), threshold=10**6
):
    of = message(content, threshold)
    for field in added:
        of.add_trace(field)
    what = delivery(*(people or [rcpt("a@b.example")]), of=of, sender=sender)
    what.transaction.params.update(params or {})
    with of:
        return make_commands(what, offered)


def refusal(*args, **options):
    with pytest.raises(DeliveryError) as caught:
        envelope(*args, **options)
    assert caught.value.permanent
    return str(caught.value.reply)


def test_offered_parameters_are_passed_on():
    made = envelope(ALL, rcpt("a@b.example", RCPT_PARAMS), params=PARAMS)
    size = str(len(CONTENT))
    assert made.mail.params == {"SIZE": size, "BODY": "8BITMIME", "RET": "HDRS", "ENVID": "e"}
    ((_, command),) = made.rcpts
    assert command.params == RCPT_PARAMS


def test_other_parameters_are_left_out():
    made = envelope({}, rcpt("a@b.example", RCPT_PARAMS), params=PARAMS)
    assert made.mail.params == {}
    assert made.rcpts[0][1].params == {}


def test_added_header_fields_count():
    made = envelope(ALL, added=[b"X: y\r\n", b"Received: z\r\n"])
    assert made.size == len(CONTENT) + 6 + 13
    assert made.mail.params["SIZE"] == str(made.size)


SIZES = [("21", ""), ("20", "552 5.3.4 Message size 21 exceeds size limit 20 of next hop")]
SIZES += [(limit, "") for limit in ("", "0", "x", "-1", "1" * 21, "٣")]


@pytest.mark.parametrize(("limit", "expected"), SIZES)
def test_a_message_over_the_size_limit_is_refused(limit, expected):
    content = CONTENT[:21]
    if expected:
        assert refusal({"SIZE": limit}, content=content) == expected
    else:
        assert envelope({"SIZE": limit}, content=content).failures == {}


def test_eight_bit_content_needs_8bitmime():
    declared = {"BODY": "8BITMIME"}
    assert envelope({}, params=declared).mail.params == {}
    found = refusal({}, params=declared, content=CONTENT + "ü\r\n".encode())
    assert found == "554 5.6.3 Next hop does not support 8BITMIME"
    assert envelope({}, content=CONTENT + "ü\r\n".encode()).mail.params == {}


def test_internationalised_addresses_with_smtputf8():
    made = envelope(ALL, rcpt("ü@b.example"))
    assert made.mail.params["SMTPUTF8"] == ""
    assert envelope(ALL, sender=Address("a", "é.example")).mail.params["SMTPUTF8"] == ""
    assert envelope(ALL, params={"SMTPUTF8": ""}).mail.params["SMTPUTF8"] == ""
    assert "SMTPUTF8" not in envelope(ALL).mail.params


def test_internationalised_addresses_without_smtputf8():
    people = rcpt("a@müller.example"), rcpt("ü@b.example"), rcpt("c@b.example")
    made = envelope({}, *people)
    assert [str(command.path) for _, command in made.rcpts] == [
        "a@xn--mller-kva.example",
        "c@b.example",
    ]
    assert [str(error.reply) for error in made.failures.values()] == [
        f"{NO_UTF8}, which an address requires"
    ]
    assert [*made.failures] == [people[1]]
    assert refusal({}, sender=Address("ü", "x")) == f"{NO_UTF8}, which an address requires"
    assert str(envelope({}, sender=Address("a", "é.example")).mail.path) == "a@xn--9ca.example"


@pytest.mark.parametrize("threshold", [10**6, 0])
def test_internationalised_headers_need_smtputf8(threshold):
    declared = {"params": {"SMTPUTF8": ""}, "threshold": threshold}
    found = refusal({}, content="Subject: ü\r\n\r\n".encode(), **declared)
    assert found == f"{NO_UTF8}, which a header field requires"
    assert envelope({}, content="Subject: x\r\n\r\nü\r\n".encode(), **declared).failures == {}
    assert envelope({}, content="\r\nü\r\n".encode(), **declared).failures == {}
    assert refusal({}, added=["X: ü\r\n".encode()], content=b"\r\n", **declared)


def test_the_end_of_the_header_section_in_two_pieces():
    of = message(b"Subject: x\r\n")
    for piece in (b"\r", b"\n", "ü\r\n".encode()):
        of.write(piece)
    what = delivery(rcpt("a@b.example"), of=of)
    what.transaction.params["SMTPUTF8"] = ""
    assert make_commands(what, {}).failures == {}

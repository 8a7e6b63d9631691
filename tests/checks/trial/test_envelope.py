"""The texts of a person become the envelope of a trial."""

import pytest

from gatepost.checks.trial.envelope import EnvelopeError, Given, read_envelope
from gatepost.model.address import NULL_PATH

TO = ("bob@example.com",)


def problems(**texts):
    with pytest.raises(EnvelopeError) as caught:
        read_envelope(Given(**{"recipients": TO, **texts}), {"in", ""})
    return caught.value.problems


def test_the_defaults_are_those_of_the_command():
    found = read_envelope(Given(recipients=TO), {""})
    assert (found.ip, found.helo, found.sender) == ("192.0.2.1", "client.example", NULL_PATH)


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("ip", "", "expected an IP address, found ''"),
        ("ip", "fe80::1%\r\nRSET", r"expected an IP address, found 'fe80::1%\r\nRSET'"),
        ("name", "a\r\n", r"expected a name such as client.example, found 'a\r\n'"),
        ("helo", "a b", "expected a name such as client.example, found 'a b'"),
        ("sender", "a", "expected local-part@domain, found 'a'"),
        ("sender", "a>\r\nb@c", r"expected local-part@domain, found 'a>\r\nb@c'"),
        ("recipients", (), "expected at least one recipient"),
        ("recipients", ("bob@example.com", "x"), "expected local-part@domain, found 'x'"),
        ("user", "a\0", r"expected at most 1000 printable characters, found 'a\x00'"),
        ("protocol", "milter", "expected one of smtp, lmtp, found 'milter'"),
        ("listen", "out", "no listener has the name 'out'"),
    ],
)
def test_a_wrong_value_is_named_with_its_field(field, value, text):
    assert problems(**{field: value}) == {field: text}


def test_every_wrong_field_is_named():
    assert set(problems(ip="x", helo="", listen="y")) == {"ip", "helo", "listen"}


@pytest.mark.parametrize("field", ["ip", "name", "helo", "user", "protocol", "listen"])
def test_a_long_value_is_an_error_of_bounded_length(field):
    [text] = problems(**{field: "x" * 100_000}).values()
    assert len(text) < 1200

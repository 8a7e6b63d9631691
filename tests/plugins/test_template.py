"""Templates of header fields, with facts that clients choose."""

from email import message_from_bytes, policy

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.plugins.mails import DOMAINS, LOGIN_CONFIG, Login, Results, delivered, transcript

from gatepost import Message, Plugin
from gatepost.plugins._template import LONGEST, VALUES, Template, safe, without_encoded_words
from gatepost.plugins.headers_add import HeadersAdd
from gatepost.testing import play

LINES = ["Subject: x", "", "text"]
PEER = ("198.51.100.7", 50000)


class Client(Plugin):
    """Stands for `iprev`."""

    def on_connect(self, session):
        session.results.add("iprev", "pass", name="host.client.example")


def filled(text, *plugins, config=DOMAINS, **options):
    chain = [Client(), *plugins, HeadersAdd(fields=[{"name": "X-Seen", "value": text}])]
    played = play(transcript(LINES, **options), chain, config=config, peer=PEER)
    return delivered(played)["X-Seen"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("fixed text", "fixed text"),
        ("{client} ({client_name})", "198.51.100.7 (host.client.example)"),
        ("{helo}", "client.example"),
        ("{sender} {recipient} {recipients}", "a@client.example b@example.com 1"),
        ("{hostname}", "localhost"),
        ("{date}", "Mon, 01 Jan 2024 00:00:00 +0000"),
        ("{size}", "20"),
        ("{result.iprev}, {result.spf}.", "pass, ."),
        ("{score} {stars}| {results}", "6.5 ******| bad=6 worse=0.5"),
        ("{{{helo}}}", "{client.example}"),
        ("gr\u00fc\u00df {user}", "=?utf-8?b?Z3LDvMOf?="),
    ],
)
def test_names_are_replaced_by_facts(text, value):
    results = Results(("worse", "x", 0.5), ("bad", "x", 6))
    assert filled(text, results) == value


def test_the_user_of_an_authenticated_client():
    assert filled("{user}", Login(), config=LOGIN_CONFIG, login=True) == "alice"


def test_several_recipients_are_not_revealed():
    assert filled("{recipient}/{recipients}", to=["a@example.com", "b@example.com"]) == "/2"


def test_a_field_without_a_value_is_left_out():
    assert filled("{result.spf}{tls}{user}{listener}") is None


def test_the_reference_is_that_of_the_reply():
    assert filled("{reference}").count(".") == 1


@pytest.mark.parametrize(
    "text",
    ["{nothing}", "{client!r}", "{client:>9}", "{client.host}", "{0}", "{}", "{", "{result.}"],
)
def test_other_names_are_refused(text):
    with pytest.raises(ValueError, match=r"expected|Single"):
        Template(text)


class Session(Plugin):
    """Gives a client a name of its choice, as HELO or a proxy could."""

    def __init__(self, name):
        super().__init__()
        self.name_of_client = name

    def on_connect(self, session):
        session.results.add("iprev", "pass", name=self.name_of_client)


@given(st.lists(st.text(max_size=300) | st.text("\r\n\t :<=?X-Spam", max_size=80), max_size=3))
def test_no_value_can_end_its_field_or_be_an_encoded_word(values):
    shown = [safe(value) for value in values]
    assert all(len(one) <= LONGEST for one in shown)
    text = without_encoded_words(["a=", *shown, "=b"])
    assert "=?" not in text
    message = Message(0)
    message.add_header("X-Seen", text)
    message.complete()
    (field,) = message.headers()
    assert field[0] == "X-Seen"
    parsed = message_from_bytes(bytes(message), policy=policy.compat32)
    assert parsed.keys() == ["X-Seen"]


def test_a_client_cannot_add_a_field():
    name = "evil\r\nX-Injected: yes\r\n\r\nbody =?utf-8?q?x?="
    chain = [Session(name), HeadersAdd(fields=[{"name": "X-Seen", "value": "{client_name}"}])]
    message = delivered(play(transcript(LINES), chain, config=DOMAINS, peer=PEER))
    assert message["X-Injected"] is None
    assert message["X-Seen"] == "evil??X-Injected: yes????body ??utf-8?q?x?="


def test_every_value_is_described():
    from tests.docs.pages import page

    described = page("shipped/headers_add")
    assert [name for name in VALUES if f"`{{{name}}}`" not in described] == []

"""Loops by Delivered-To, X-Loop and Received."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.plugins.mails import DOMAINS, Seen, transcript

from gatepost import Headers, Plugin
from gatepost.plugins.loops import MOST, Loops, _addresses, _loop_marks
from gatepost.testing import play

HOST = {**DOMAINS, "server": {"hostname": "mx.example.com"}}
OWN = "Received: from a by MX.example.com with ESMTP id 1; Mon, 1 Jan 2024 00:00:00 +0000"
OTHER = "Received: from mx.example.com by mail.client.example; Mon, 1 Jan 2024 00:00:00 +0000"


def found(*fields, to=("b@example.com",), end="S: 250", **options):
    seen = Seen("loops")
    script = transcript([*fields, "Subject: x", "", "text"], to=to, end=end)
    played = play(script, [Loops(**options), seen], config=HOST)
    return seen.result, played


CASES = {
    "delivered_to": ["Delivered-To: <B@EXAMPLE.com>"],
    "x_loop": ["X-Loop: b@example.com"],
    "passed": [OWN] * 4,
    "hops": [OTHER] * 31,
}
ENHANCED = {"deny": "S: 554 5.4.6 *", "defer": "S: 451 4.4.6 *"}


@pytest.mark.parametrize("finding", CASES)
@pytest.mark.parametrize("word", ENHANCED)
def test_each_loop_can_be_refused_and_deferred(finding, word):
    _, played = found(*CASES[finding], end=ENHANCED[word], **{finding: word})
    assert [(one.reason, one.hook) for one in played.decisions] == [(finding, "headers")]
    assert played.metrics.value("gatepost_plugin_loops_found", finding=finding) == 1


@pytest.mark.parametrize("finding", CASES)
def test_each_loop_can_have_points(finding):
    result, _ = found(*CASES[finding], **{finding: 2})
    assert (result.value, result.score) == (finding, 2)


@pytest.mark.parametrize(
    "fields",
    [
        [],
        ["Delivered-To: other@example.com"],
        ["Delivered-To: b@example.org"],
        ["Delivered-To: b"],
        ["X-Loop: list@client.example"],
        ["X-Loop: "],
        [OWN] * 3,
        [OTHER] * 30,
        ["X-Delivered-To: b@example.com"],
    ],
)
def test_other_mail_passes(fields):
    result, _ = found(*fields)
    assert (result.value, result.score) == ("pass", 0)


def test_x_loop_can_name_this_server():
    found("X-Loop: mx.example.com", end="S: 554 5.4.6 Mail loops: X-Loop names a recipient*")


def test_any_recipient_can_be_the_one_that_loops():
    both = ("b@example.com", "c@example.com")
    _, played = found("Delivered-To: c@example.com", to=both, end="S: 554 5.4.6 *")
    assert [one.reason for one in played.decisions] == ["delivered_to"]


class Alias(Plugin):
    """Sends the mail for b to c."""

    def on_rcpt(self, tx, rcpt):
        tx.replace_recipient(rcpt, ["c@example.com"])


def test_the_recipients_are_those_after_aliases():
    script = transcript(["Delivered-To: c@example.com", "", "text"], end="S: 554 5.4.6 *")
    play(script, [Loops(), Alias()], config=HOST)


def test_options_are_checked():
    with pytest.raises(ValueError, match="expected 1 or more Received fields"):
        Loops(most_passed=0)


@given(st.lists(st.binary(max_size=60), max_size=6))
def test_any_fields_can_be_read(values):
    block = b"".join(b"X-Loop:" + value + b"\r\n" for value in values)
    headers = Headers(block)
    assert all(isinstance(one, str) for one in _loop_marks(headers))
    assert all(one == "" or "@" in one for one in _addresses(headers, "X-Loop"))


def test_the_number_of_fields_that_are_read_is_limited():
    fields = ["X-Loop: other@client.example"] * MOST + ["X-Loop: b@example.com"]
    result, _ = found(*fields)
    assert result.value == "pass"

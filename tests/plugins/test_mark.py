"""Header fields by points and results, and those that clients have forged."""

import pytest
from tests.plugins.mails import DOMAINS, Results, Seen, delivered, transcript

from gatepost.plugins.headers_add import HeadersAdd
from gatepost.plugins.mark import Mark
from gatepost.plugins.score import Score
from gatepost.testing import play

FORGED = ["X-Spam-Flag: NO", "x-spam-status : No,", "X-SPAM-SCORE:", " -99", "Subject: x", "", "t"]
# More than the block that can be edited.
LONG = [*["X-Long: " + "y" * 900] * 1200, "X-Spam-Flag: NO", "", "t"]
BIG = {**DOMAINS, "limits": {"header_size": "4MiB"}}


def marked(points, *results, lines=FORGED, end="S: 250", config=DOMAINS, **options):
    chain = [Results(("bad", "yes", points), *results), Score(deny=0), Mark(**options)]
    return play(transcript(lines, end=end), chain, config=config)


def spam(played):
    found = delivered(played).items()
    return [(name, value) for name, value in found if name.lower().startswith("x-")]


def test_a_spam_message_is_marked_by_default():
    assert spam(marked(7.5)) == [
        ("X-Spam-Flag", "YES"),
        ("X-Spam-Level", "*******"),
        ("X-Spam-Score", "7.5 bad=7.5"),
    ]


def test_other_messages_have_a_score_only():
    assert spam(marked(0)) == [("X-Spam-Score", "0.0")]


def test_forged_fields_are_removed():
    played = marked(0, fields=[{"name": "X-Mark", "value": "{score}"}])
    assert spam(played) == [("X-Mark", "0.0")]
    assert played.metrics.value("gatepost_plugin_mark_removed") == 3
    assert played.metrics.value("gatepost_plugin_mark_added") == 1


def test_only_the_named_fields_are_removed():
    lines = ["X-Mark: forged", "X-Marker: x", "X-Other: x", "", "t"]
    played = marked(0, lines=lines, fields=[{"name": "x-mark", "value": "1"}], remove=["X-Oth*"])
    assert spam(played) == [("x-mark", "1"), ("X-Marker", "x")]


@pytest.mark.parametrize(
    ("condition", "met"),
    [
        ({}, True),
        ({"score": 3}, True),
        ({"score": 3.5}, False),
        ({"results": {"spf": "fail"}}, True),
        ({"results": {"dkim": "pass"}}, True),
        ({"results": {"spf": "fail", "dkim": "neutral"}}, False),
        ({"score": 3, "results": {"dmarc": "fail"}}, False),
    ],
)
def test_a_field_has_conditions(condition, met):
    results = [("spf", "fail", 3), ("dkim", "pass", 0), ("dkim", "fail", 0)]
    field = {"name": "X-Mark", "value": "yes", **condition}
    played = marked(0, *results, lines=["", "t"], fields=[field])
    assert spam(played) == ([("X-Mark", "yes")] if met else [])


def test_a_header_that_is_too_long_is_refused():
    marked(0, lines=LONG, config=BIG, end="S: 552 5.3.4 Header is too long*")
    chain = [HeadersAdd(fields=[{"name": "X-Spam-Flag", "value": "x"}])]
    play(transcript(LONG, end="S: 552 5.3.4 Header is too long*"), chain, config=BIG)


def test_a_field_that_is_too_long_is_left_out():
    field = {"name": "X-Mark", "value": "{sender}" + "y" * 990}
    with pytest.raises(ValueError, match="more than 998 octets"):
        Mark(fields=[field])
    long = {"name": "X-Mark", "value": "y" * 900 + "{sender}"}
    assert spam(marked(0, lines=["", "t"], fields=[long])) != []
    sender = "a" * 64 + "@" + ".".join(["b" * 60] * 3) + ".example"
    script = transcript(["", "t"], sender=sender)
    played = play(script, [Mark(fields=[long])], config=DOMAINS)
    assert spam(played) == []


def test_fields_of_the_client_can_stay():
    fields = [{"name": "X-Spam-Flag", "value": "other"}]
    for keep, flags in ((False, ["other"]), (True, ["other", "NO"])):
        played = play(transcript(FORGED), [HeadersAdd(fields=fields, keep=keep)], config=DOMAINS)
        assert delivered(played).get_all("X-Spam-Flag") == flags
        assert played.metrics.value("gatepost_plugin_headers_add_added") == 1


def test_fields_are_added_in_their_order():
    fields = [{"name": f"X-{number}", "value": "1"} for number in range(3)]
    seen = Seen("none")
    played = play(transcript(["", "t"]), [HeadersAdd(fields=fields), seen], config=DOMAINS)
    assert spam(played) == [("X-0", "1"), ("X-1", "1"), ("X-2", "1")]
    assert seen.edits[0] == "added X-2: 1 (by headers_add)"


@pytest.mark.parametrize(
    ("field", "problem"),
    [
        ({"name": "X Y", "value": "1"}, "expected a header field name"),
        ({"name": "From", "value": "1"}, "the field From must not be changed"),
        ({"name": "content-type", "value": "1"}, "must not be changed"),
        ({"name": "X-Mark", "value": "{unknown}"}, r"found \{unknown\}"),
        ({"name": "X-Mark", "value": "a\nb"}, "line breaks"),
    ],
)
def test_a_wrong_field_is_refused(field, problem):
    for plugin in (Mark, HeadersAdd):
        with pytest.raises(ValueError, match=problem):
            plugin(fields=[field])


@pytest.mark.parametrize("name", ["*", "Subject*", "From", "X-*Y"])
def test_names_that_must_stay_are_not_removed(name):
    with pytest.raises(ValueError, match=r"must not be changed|expected a name"):
        Mark(remove=[name])

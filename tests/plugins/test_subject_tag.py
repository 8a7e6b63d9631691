"""Tags in the subject, by points and results."""

import pytest
from tests.plugins.mails import DOMAINS, Results, Seen, delivered, transcript

from gatepost.plugins._mime_fields import decoded_words
from gatepost.plugins.subject_tag import SubjectTag
from gatepost.testing import play

SIGNED = "DKIM-Signature: v=1; d=client.example; h=from:subject; b=x"
UNSIGNED = "DKIM-Signature: v=1; d=client.example; h=from; b=x"
ARC = "ARC-Message-Signature: i=1; d=list.example; h=subject; b=x"


def tagged(*lines, points=5, found=(), **options):
    seen = Seen("subject_tag")
    chain = [Results(("bad", "yes", points), *found), SubjectTag(**options), seen]
    played = play(transcript([*lines, "", "text"]), chain, config=DOMAINS)
    return delivered(played).get_all("Subject"), seen, played


def test_spam_has_a_tag():
    subjects, seen, played = tagged("Subject: hello")
    assert subjects == ["[SPAM] hello"]
    assert (seen.result.value, seen.broken) == ("added", [])
    assert seen.edits == ["replaced Subject: [SPAM] hello (by subject_tag)"]
    name = "gatepost_plugin_subject_tag_messages"
    assert played.metrics.value(name, result="added") == 1


def test_other_mail_has_none():
    subjects, seen, _ = tagged("Subject: hello", points=4.9)
    assert (subjects, seen.result) == (["hello"], None)


def test_a_message_without_a_subject_gets_the_tag():
    assert tagged("From: a@client.example")[0] == ["[SPAM]"]


def test_a_result_can_be_the_condition():
    options = {"score": 0, "results": {"dmarc": "fail"}, "tag": "[FORGED?]"}
    assert tagged("Subject: x", points=0, **options)[0] == ["x"]
    dmarc = [("dmarc", "fail", 0)]
    assert tagged("Subject: x", points=0, found=dmarc, **options)[0] == ["[FORGED?] x"]
    assert tagged("Subject: x", points=0, found=dmarc, **{**options, "score": 1})[0] == ["x"]


@pytest.mark.parametrize(
    "subject",
    [
        "[SPAM] hello",
        "[spam] hello",
        "Re: [SPAM] hello",
        "Fwd: AW[2]: [SPAM] hello",
        "=?utf-8?q?=5BSPAM=5D_hello?=",
        "[SP\u200bAM] hello",
    ],
)
def test_a_tag_is_not_added_twice(subject):
    subjects, seen, _ = tagged(f"Subject: {subject}")
    assert len(subjects) == 1
    assert (seen.result.value, seen.edits) == ("present", [])


@pytest.mark.parametrize("subject", ["hello [SPAM]", "x: [SPAM]", "SPAM"])
def test_a_tag_elsewhere_does_not_count(subject):
    assert tagged(f"Subject: {subject}")[0] == [f"[SPAM] {subject}"]


@pytest.mark.parametrize("field", [SIGNED, ARC])
def test_a_signed_subject_stays(field):
    subjects, seen, _ = tagged(field, "Subject: hello")
    assert (subjects, seen.result.value, seen.edits) == (["hello"], "signed", [])


def test_a_signature_that_does_not_cover_the_subject_does_not_matter():
    subjects, seen, _ = tagged(UNSIGNED, "Subject: hello")
    assert (subjects, seen.broken) == (["[SPAM] hello"], [])


def test_a_signed_subject_can_be_changed():
    subjects, seen, _ = tagged(SIGNED, "Subject: hello", signed=True)
    assert subjects == ["[SPAM] hello"]
    assert (seen.result.value, seen.broken) == ("added", ["DKIM-Signature of client.example"])


def test_encoded_words_of_the_subject_stay():
    (subject,) = tagged("Subject: =?iso-8859-1?q?gr=FC=DFe?= x")[0]
    assert subject == "[SPAM] =?iso-8859-1?q?gr=FC=DFe?= x"


def test_a_tag_can_have_any_characters():
    (subject,) = tagged("Subject: x", tag="\u26a0 extern")[0]
    assert decoded_words(subject) == "\u26a0 extern x"


def test_several_subjects_become_one():
    assert tagged("Subject: a", "Subject: b")[0] == ["[SPAM] a"]


def test_a_subject_that_cannot_be_edited_stays():
    long = "x" * 1100
    subjects, seen, _ = tagged(f"Subject: {long}")
    assert (subjects, seen.result.value) == ([long], "failed")


@pytest.mark.parametrize("tag", ["", " ", "a\nb"])
def test_a_wrong_tag_is_refused(tag):
    with pytest.raises(ValueError, match=r"expected a text|line breaks"):
        SubjectTag(tag=tag)

"""Commands and parameters that plugins add: what the wire accepts, bounds and passes on."""

import functools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.wire.driver import ADDITIONS, HELLO, MAIL, RCPT, SPLITS, extended, play
from tests.wire.invariants import assert_replies_well_formed

from gatepost.model.additions import Verb
from gatepost.wire import events as e
from gatepost.wire.lmtp import LmtpServer
from gatepost.wire.smtp import SmtpServer, State
from gatepost.wire.smtp.added import parameter_problem, verb_problem
from gatepost.wire.smtp.commands import COMMANDS, FOREIGN_VERBS, OFFERED_COMMANDS
from gatepost.wire.smtp.syntax.extensions import EXTENSIONS, PARAMETERS
from gatepost.wire.smtp.syntax.values import MAX_ADDED

BAD_VALUE = re.compile("501 5.5.4 (Syntax error in )?MAIL parameter ")


extended_lmtp = functools.partial(extended, kind=LmtpServer)


def lines(*texts, before=b"", make=extended, **options):
    data = before + b"".join(one.encode() + b"\r\n" for one in texts)
    return play(data, make=make, **options)


@pytest.mark.parametrize("make", [extended, extended_lmtp])
@pytest.mark.parametrize(
    ("line", "event"),
    [
        ("XSTATUS", e.Added("XSTATUS", "")),
        ("xstatus All of it", e.Added("XSTATUS", "All of it")),
        ("XIDLE", e.IdleAdded("XIDLE", "")),
        ("XONE a", e.IdleAdded("XONE", "a")),
        ("XNONE ", e.IdleAdded("XNONE", "")),
        ("XOTHER", e.Unknown("XOTHER", "")),
    ],
)
def test_a_command_is_an_event_of_its_own(make, line, event):
    assert lines(line, make=make).events == [event]


@pytest.mark.parametrize("before", [b"", HELLO, MAIL, RCPT, RCPT + b"BDAT 1\r\nx"])
def test_a_command_may_come_at_any_point_and_changes_no_state(before):
    state = play(before).state
    assert lines("XSTATUS", before=before).state is state
    refused = play(before + b"XSTATUS\r\n", make=extended).state
    assert refused is state


def test_too_many_arguments_are_refused():
    assert lines("XONE a b", "XNONE a").replies == [
        "501 5.5.4 Syntax error: too many parameters",
        "501 5.5.4 Syntax error: no parameters allowed",
    ]


@pytest.mark.parametrize("verb", [*COMMANDS, *OFFERED_COMMANDS, *sorted(FOREIGN_VERBS), "LHLO"])
def test_a_command_of_the_server_cannot_be_added(verb):
    assert verb_problem(verb, Verb()) == f"{verb} is a command of the server"


@pytest.mark.parametrize("verb", ["", "x", "xstatus", "1X", "X Y", "X" * 17, "XÜ", "X\n", 5, None])
def test_a_verb_has_the_form_of_a_command(verb):
    assert verb_problem(verb, Verb()).startswith("expected a verb of")


def test_a_row_is_a_verb():
    assert verb_problem("XSTATUS", Verb()) == ""
    assert verb_problem("XSTATUS", {}) == "XSTATUS: expected a Verb, found {}"


@pytest.mark.parametrize("command", ["MAIL", "RCPT"])
def test_a_parameter_of_the_server_cannot_be_added(command):
    for keyword in PARAMETERS[command]:
        problem = parameter_problem(command, keyword)
        assert problem == f"{keyword} is a parameter of the server"
    assert parameter_problem(command, "XFOO") == ""


@pytest.mark.parametrize("keyword", ["", "xfoo", "-X", "X=", "X" * 17, "Xé", b"X", None])
def test_a_keyword_has_the_form_of_a_parameter(keyword):
    assert parameter_problem("MAIL", keyword).startswith("expected a keyword of")


@pytest.mark.parametrize("make", [extended, extended_lmtp])
def test_parameters_are_passed_on(make):
    hello = HELLO.replace(b"EHLO", b"LHLO") if make is extended_lmtp else HELLO
    played = lines(
        "MAIL FROM:<a@b> xfoo=Value,+3D SIZE=5", "RCPT TO:<a@b> XBAR", before=hello, make=make
    )
    assert played.events[1].params == {"XFOO": "Value,+3D", "SIZE": "5"}
    assert played.events[2].params == {"XBAR": ""}


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        ("MAIL FROM:<a@b> XBAR=1", "555 5.5.4 MAIL parameter not recognised: XBAR"),
        ("MAIL FROM:<a@b> XFOO=", "501 5.5.4 Syntax error in MAIL parameter XFOO"),
        ("MAIL FROM:<a@b> XFOO=a=b", "501 5.5.4 Syntax error in MAIL parameter XFOO"),
        ("MAIL FROM:<a@b> XFOO XFOO", "501 5.5.4 Syntax error in MAIL parameter XFOO"),
        ("MAIL FROM:<a@b> XFOO=ü SMTPUTF8", "501 5.5.4 Syntax error in MAIL parameter XFOO"),
        (
            f"MAIL FROM:<a@b> XFOO={'x' * (MAX_ADDED + 1)}",
            f"501 5.5.4 MAIL parameter XFOO: expected at most {MAX_ADDED} octets",
        ),
    ],
)
def test_a_malformed_parameter_is_refused(line, reply):
    assert lines(line, before=HELLO).replies[-1] == reply


def test_without_additions_the_keyword_is_not_recognised():
    line = "MAIL FROM:<a@b> XFOO=1"
    assert lines(line, before=HELLO, make=SmtpServer).replies[-1].startswith("555 5.5.4")


VALUES = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=600) | st.text(
    st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="="), max_size=600
)


@given(st.sampled_from(["XFOO", "XFOO=", "xfoo=", "SIZE=5 XFOO="]), VALUES)
def test_any_value_is_refused_or_printable_and_bounded(prefix, value):
    played = lines(f"MAIL FROM:<a@b> {prefix}{value}", before=HELLO)
    assert_replies_well_formed(played.output)
    event = played.events[-1]
    if type(event) is e.Mail:
        assert set(event.params) <= {"XFOO", *EXTENSIONS, "BODY", "RET", "ENVID"}
        found = event.params.get("XFOO", "")
        assert re.fullmatch(f"[!-<>-~]{{0,{MAX_ADDED}}}", found)
    else:
        assert played.state is State.READY


@given(
    st.lists(st.sampled_from(["XSTATUS", "XONE", "xIdLe", "MAIL FROM:<a@b>", "\0", "é"])), VALUES
)
def test_the_events_do_not_depend_on_the_cuts(words, value):
    data = HELLO + b"".join(f"{word} {value}\r\n".encode() for word in words)
    first, *others = [play(data, split, make=extended) for split in SPLITS]
    for other in others:
        assert (other.events, other.output) == (first.events, first.output)
    for event in first.events:
        if isinstance(event, e.Added):
            assert event.verb in ADDITIONS.verbs
            assert event.text.isprintable()

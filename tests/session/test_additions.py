"""Commands and parameters of plugins, in a dialogue."""

from typing import ClassVar

import pytest
from tests.session.dialogue import OPEN, config

from gatepost.model.additions import Verb
from gatepost.model.decision import accept, defer, deny
from gatepost.plugin.base import Plugin
from gatepost.session.assemble import SetupError
from gatepost.testing import play


class Status(Plugin):
    """Answers XSTATUS and XIDLE."""

    commands: ClassVar = {"XSTATUS": Verb(junk=False, max_arguments=1), "XIDLE": Verb()}

    def __init__(self, answer=None):
        super().__init__()
        self.answer, self.seen = answer, []

    def on_command(self, session, verb, text):
        self.seen.append((verb, text))
        return self.answer


class Other(Status):
    commands: ClassVar = {"XOTHER": Verb()}


class Waiting(Status):
    blocking = True


def ask(transcript, *plugins, **options):
    return play(OPEN + transcript, plugins, **options)


@pytest.mark.parametrize("kind", [Status, Waiting])
@pytest.mark.parametrize(
    ("answer", "line"),
    [
        (accept("running"), "250 2.0.0 running"),
        (accept("one\ntwo", code=211), "211-2.0.0 one"),
        (accept("x", code=299, enhanced="2.1.0"), "299 2.1.0 x"),
        (accept(), "250 2.0.0 Ok"),
        (deny("no", code=502), "502 5.5.1 no [*]"),
        (defer("later"), "450 4.7.1 later [*]"),
        (None, "500 5.5.1 Command not recognised [*]"),
        ("text", "451 4.3.0 Temporary local problem [*]"),
    ],
)
def test_a_plugin_answers_its_command(kind, answer, line):
    ask(f"C: xstatus all\nS: {line}\n", kind(answer))


def test_a_plugin_gets_only_its_own_commands():
    mine, other = Status(accept("mine")), Other(accept("other"))
    ask("C: XOTHER a b\nS: 250 2.0.0 other\nC: XSTATUS\nS: 250 2.0.0 mine\n", mine, other)
    assert (mine.seen, other.seen) == ([("XSTATUS", "")], [("XOTHER", "a b")])


def test_other_plugins_observe_a_command():
    seen = []

    class Watching(Plugin):
        def observe_command(self, session, verb, text):
            seen.append((verb, text))

        def after_command(self, session, verb, text, outcome):
            seen.append(outcome.answer.by)

    ask("C: XSTATUS all\nS: 250\n", Watching(), Status(accept()))
    assert seen == [("XSTATUS", "all"), "status"]


def test_a_command_with_too_many_arguments_never_reaches_the_plugin():
    plugin = Status(accept())
    ask("C: XSTATUS a b\nS: 501 5.5.4 Syntax error: too many parameters [*]\n", plugin)
    assert plugin.seen == []


@pytest.mark.parametrize(("verb", "last"), [("XSTATUS", "250"), ("XIDLE", "421 4.7.0 Too many *")])
def test_a_command_that_is_no_junk_is_not_counted(verb, last):
    few = config(limits={"junk_commands": 3})
    ask(f"C: {verb}\nS: 250\n" * 2 + f"C: {verb}\nS: {last}\n", Status(accept()), config=few)


class Parameters(Plugin):
    mail_parameters: ClassVar = {"XFOO"}
    rcpt_parameters: ClassVar = {"XBAR"}

    def __init__(self):
        super().__init__()
        self.seen = []

    def on_ehlo(self, session, keywords):
        keywords.append("XFOO a b")

    def on_mail(self, tx, sender):
        self.seen.append(dict(tx.params))

    def on_rcpt(self, tx, rcpt):
        self.seen.append(dict(rcpt.params))


@pytest.mark.parametrize("protocol", ["smtp", "lmtp"])
def test_parameters_reach_the_plugin(protocol):
    plugin = Parameters()
    hello = OPEN if protocol == "smtp" else OPEN.replace("EHLO", "LHLO")
    play(
        hello
        + """
        C: MAIL FROM:<a@client.example> xfoo=Bar SIZE=100
        S: 250
        C: RCPT TO:<one@example.com> XBAR
        S: 250
        C: RCPT TO:<one@example.com> XBAZ
        S: 555 5.5.4 RCPT parameter not recognised: XBAZ*
        C: RCPT TO:<one@example.com> XBAR NOTIFY=NEVER
        S: 555 5.5.4 DSN is not offered*
        """,
        [plugin],
        protocol=protocol,
        peer=("192.0.2.1", 1),
    )
    assert plugin.seen == [{"XFOO": "Bar", "SIZE": "100"}, {"XBAR": ""}]


def test_only_the_plugin_announces_a_parameter():
    ehlo = play("S: 220\nC: EHLO x\nS: 250\n", [Parameters()]).replies[1]
    assert "XFOO a b" in ehlo
    assert "XBAR" not in ehlo


def test_two_plugins_with_the_same_command_are_an_error():
    with pytest.raises(SetupError, match="both have the command XSTATUS"):
        ask("", Status(), type("Copy", (Status,), {})())

"""Commands and parameters of plugins: what is refused at start."""

import pytest

from gatepost.model.additions import NO_ADDITIONS, Additions, Verb
from gatepost.plugin.base import Installed, Plugin
from gatepost.plugin.host import PluginError, PluginHost


def made(name="mine", **members):
    plugin = type("Mine", (Plugin,), members)()
    plugin.name = name
    return plugin


def host(*plugins):
    return PluginHost([Installed(one) for one in plugins])


def answering(**members):
    return {"on_command": lambda *_: None, **members}


def test_additions_of_all_plugins_are_collected():
    first = made("a", **answering(commands={"XA": Verb()}, mail_parameters={"XFOO"}))
    second = made("b", **answering(commands={"XB": Verb(junk=False)}, rcpt_parameters=["XBAR"]))
    assert host(first, second, made("c", mail_parameters=("XBAZ",))).additions == Additions(
        {"XA": Verb(), "XB": Verb(junk=False)}, frozenset({"XFOO", "XBAZ"}), frozenset({"XBAR"})
    )
    assert host(made()).additions is NO_ADDITIONS


@pytest.mark.parametrize(
    ("members", "problem"),
    [
        (answering(commands={"NOOP": Verb()}), "NOOP is a command of the server"),
        (answering(commands={"AUTH": Verb()}), "AUTH is a command of the server"),
        (answering(commands={"LHLO": Verb()}), "LHLO is a command of the server"),
        (answering(commands={"GET": Verb()}), "GET is a command of the server"),
        (answering(commands={"xa": Verb()}), "expected a verb of up to 16 of A-Z, 0-9 and -, "),
        (answering(commands={"XA": None}), "XA: expected a Verb, found None"),
        (answering(commands=["XA"]), "commands: expected a dict such as"),
        (answering(), "commands and on_command belong together"),
        ({"commands": {"XA": Verb()}}, "commands and on_command belong together"),
        ({"mail_parameters": {"SIZE"}}, "mail_parameters: SIZE is a parameter of the server"),
        ({"mail_parameters": "XFOO"}, "mail_parameters: expected a set such as"),
        ({"rcpt_parameters": {"xbar"}}, "rcpt_parameters: expected a keyword of up to 16"),
        ({"rcpt_parameters": 5}, "rcpt_parameters: expected a set such as"),
    ],
)
def test_an_impossible_addition_keeps_the_server_from_starting(members, problem):
    with pytest.raises(PluginError, match=f"^plugin mine: {problem}"):
        host(made(**members))


def test_two_plugins_cannot_add_the_same_command():
    plugins = [made(name, **answering(commands={"XA": Verb()})) for name in ("a", "b")]
    with pytest.raises(ValueError, match="plugins a and b both have the command XA"):
        host(*plugins)

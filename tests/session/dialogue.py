"""Configurations, plugins made of functions, and the usual start of a dialogue."""

import msgspec

from gatepost.config.schema import (
    Config,
    LimitsConfig,
    RecipientsConfig,
    RouteConfig,
    SmtpConfig,
    TrapsConfig,
)
from gatepost.model.additions import Verb
from gatepost.model.reply import Reply
from gatepost.plugin.base import Installed, Plugin

TRAPS = ["trap@example.com", "trap@elsewhere.example", "@trapped.example.com"]

OPEN = """
    S: 220
    C: EHLO client.example
    S: 250
"""

REFUSED = "554 5.7.1 Message refused by local policy [*]"


def config(*, limits=None, traps=None, recipients=None, **more):
    made = Config(
        limits=LimitsConfig(**(limits or {})),
        recipients=RecipientsConfig(
            **({"domains": ["example.com", "trapped.example.com"]} | (recipients or {}))
        ),
        traps=TrapsConfig(**(traps or {})),
        route=[RouteConfig(to="discard:")],
        smtp=SmtpConfig(unauthorised_pipelining="tolerate"),
    )
    return msgspec.structs.replace(made, **more)


def plugin(on_error="defer", name="test", **methods):
    """Return a plugin made of functions that have no `self`.

    With a method for commands of its own it adds the command XTEST.
    """
    made = Plugin()
    if {"observe_command", "on_command", "after_command"} & methods.keys():
        made.commands = {"XTEST": Verb()}
        methods = {"on_command": lambda *_: None, **methods}
    made.name = name
    for method, function in methods.items():
        setattr(made, method, function)
    return Installed(made, on_error)


def reply(text):
    return Reply.parse(text)


def references(replies):
    return [one.rpartition("[")[2].rstrip("]") for one in replies if one.endswith("]")]

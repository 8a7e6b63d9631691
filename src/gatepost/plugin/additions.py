"""Collect the commands and parameters that plugins add to the protocol, and check them."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from gatepost.model.additions import NO_ADDITIONS, Additions
from gatepost.model.session import Session
from gatepost.plugin.base import Installed, Plugin
from gatepost.plugin.contract import implements
from gatepost.wire.smtp.added import parameter_problem, verb_problem

HOOK = "command"


def addition_problems(plugin: Plugin) -> Iterator[str]:
    """Yield a sentence for each command or parameter that a plugin cannot add."""
    verbs = plugin.commands
    if not isinstance(verbs, Mapping):
        yield f'commands: expected a dict such as {{"XSTATUS": Verb()}}, found {verbs!r}'
        return
    yield from filter(None, (verb_problem(verb, row) for verb, row in verbs.items()))
    if bool(verbs) != implements(plugin, f"on_{HOOK}"):
        yield "commands and on_command belong together: one of them is missing"
    for command in ("MAIL", "RCPT"):
        yield from _parameter_problems(plugin, command)


def _parameter_problems(plugin: Plugin, command: str) -> Iterator[str]:
    name = f"{command.lower()}_parameters"
    keywords = getattr(plugin, name)
    if isinstance(keywords, str) or not isinstance(keywords, Collection):
        yield f'{name}: expected a set such as {{"XFOO"}}, found {keywords!r}'
        return
    for keyword in keywords:
        problem = parameter_problem(command, keyword)
        if problem:
            yield f"{name}: {problem}"


def collect(installed: Sequence[Installed]) -> Additions:
    """Return what all plugins add; raise ValueError if two add the same command."""
    plugins = [one.plugin for one in installed]
    owners: dict[str, str] = {}
    for plugin in plugins:
        for verb in plugin.commands:
            owner = owners.setdefault(verb, plugin.name)
            if owner != plugin.name:
                raise ValueError(f"plugins {owner} and {plugin.name} both have the command {verb}")
    made = Additions(
        {verb: row for plugin in plugins for verb, row in plugin.commands.items()},
        frozenset(keyword for plugin in plugins for keyword in plugin.mail_parameters),
        frozenset(keyword for plugin in plugins for keyword in plugin.rcpt_parameters),
    )
    return NO_ADDITIONS if made == NO_ADDITIONS else made


def for_own_verbs(plugin: Plugin, method: Callable[..., Any]) -> Callable[..., Any]:
    """Return `on_command` of a plugin, called only for the plugin's own commands."""

    def on_command(session: Session, verb: str, text: str) -> Any:
        return method(session, verb, text) if verb in plugin.commands else None

    return on_command

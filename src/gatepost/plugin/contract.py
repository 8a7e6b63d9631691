"""The check of a plugin against the hook methods that `Plugin` declares.

A method that looks like a hook but would never be called is a mistake, often with the effect that
mail is accepted. So a misspelt name or a wrong number of arguments keeps the server from starting.
"""

import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from gatepost.plugin.base import Plugin
from gatepost.plugin.hooks import AFTER_ANY, HOOKS, METHODS, NOTIFICATIONS, QUESTIONS, STAGES

# How similar a misspelt name must be to a hook, from 0 to 1.
_SIMILAR = 0.7
_WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_ANY = AFTER_ANY.removeprefix("after_")
_NAMES = (*HOOKS, _ANY, *QUESTIONS, *NOTIFICATIONS)
# The usual method by name.
_METHOD_OF = {name: AFTER_ANY if name == _ANY else f"on_{name}" for name in _NAMES}

# Hook methods of other servers, and the method here for the same purpose.
FOREIGN = {
    "handle_HELO": "on_helo",
    "handle_EHLO": "on_helo",
    "handle_MAIL": "on_mail",
    "handle_RCPT": "on_rcpt",
    "handle_DATA": "on_message",
    "handle_RSET": "on_reset",
    "handle_VRFY": "on_vrfy",
    "handle_NOOP": "on_noop",
    "handle_QUIT": "on_quit",
    "handle_AUTH": "on_auth",
    "hook_data_post": "on_message",
    "hook_data_headers_end": "on_headers",
    "hook_queue": "on_deliver",
    "hook_queue_post": "on_delivered",
    "hook_reset_transaction": "on_reset",
    "hook_unrecognized_command": "on_unknown_command",
}


def implements(plugin: Plugin | type[Plugin], name: str) -> bool:
    """Return whether a plugin overrides a method of `Plugin`."""
    method = getattr(plugin, name)
    return getattr(method, "__func__", method) is not getattr(Plugin, name)


def implemented(plugin: Plugin | type[Plugin]) -> list[str]:
    """Return the hook methods that a plugin overrides, in the order of a session."""
    return [name for name in METHODS if implements(plugin, name)]


def is_idle(plugin: Plugin) -> bool:
    """Return whether a plugin has no effect: it overrides neither a hook nor `start` or `stop`."""
    return not any(implements(plugin, name) for name in (*METHODS, "start", "stop"))


def arguments(method: str) -> list[str]:
    """Return the names of the arguments of a hook method, without `self`."""
    return list(inspect.signature(getattr(Plugin, method)).parameters)[1:]


class Mistake(NamedTuple):
    """A method that would never be called, or could not be, and a sentence about it."""

    method: Any
    text: str

    def __str__(self) -> str:
        location = _location(self.method)
        return f"{location}: {self.text}" if location else self.text


def problems(plugin: Plugin) -> Iterator[Mistake]:
    """Yield the mistakes in the methods of a plugin."""
    for name in dir(plugin):
        if not name.startswith("_") and not hasattr(Plugin, name):
            yield from (Mistake(getattr(plugin, name), one) for one in _misspelling(plugin, name))
    for name in implemented(plugin):
        method = getattr(plugin, name)
        yield from (Mistake(method, one) for one in _wrong_signature(name, method))


def _location(method: Any) -> str:
    """Return `FILE:LINE` of a function or method, "" of anything else."""
    code = getattr(inspect.unwrap(getattr(method, "__func__", method)), "__code__", None)
    return "" if code is None else f"{code.co_filename}:{code.co_firstlineno}"


def _misspelling(plugin: Plugin, name: str) -> Iterator[str]:
    prefix, _, rest = name.partition("_")
    suggestion = _suggestion(name, prefix, rest)
    if not (suggestion or prefix in STAGES) or not callable(getattr(plugin, name)):
        return
    if suggestion:
        yield f"{name} is not a hook, did you mean {suggestion}?"
    else:
        yield f"{name} is not a hook; the prefixes observe_, on_ and after_ are reserved for hooks"


def _suggestion(name: str, prefix: str, rest: str) -> str | None:
    """Return the hook method that a name is meant for, None if it is not similar to any."""
    if name in FOREIGN:
        return FOREIGN[name]
    snake_case = _WORD_START.sub("_", name).lower()
    if snake_case in METHODS:
        return snake_case
    from difflib import get_close_matches  # noqa: PLC0415 - only for an error

    if prefix in STAGES:
        return _with_prefix(prefix, get_close_matches(rest.lower(), _NAMES, 1, _SIMILAR))
    if rest in _NAMES:
        stages = (
            ["on"] if prefix == "hook" else get_close_matches(prefix.lower(), STAGES, 1, _SIMILAR)
        )
        return _with_prefix(stages[0], [rest]) if stages else None
    return None


def _with_prefix(stage: str, names: list[str]) -> str | None:
    if not names:
        return None
    method = f"{stage}_{names[0]}"
    return method if method in METHODS else _METHOD_OF[names[0]]


def _wrong_signature(name: str, method: Callable[..., Any]) -> Iterator[str]:
    """Yield a problem unless a method takes as many arguments as the hook passes."""
    if not callable(method):
        yield f"{name} is not a method"
        return
    function = getattr(method, "__func__", method)
    try:
        signature = inspect.signature(function)
    except ValueError:
        return  # a builtin without a signature; the call itself will show
    passed = [*arguments(name)] if function is method else ["self", *arguments(name)]
    try:
        signature.bind(*passed)
    except TypeError:
        found = ", ".join(_shown(one) for one in signature.parameters.values())
        yield f"{name} takes ({', '.join(passed)}), found ({found})"


def _shown(parameter: inspect.Parameter) -> str:
    if parameter.kind is inspect.Parameter.KEYWORD_ONLY:
        return f"{parameter.name}="
    return str(parameter.replace(annotation=parameter.empty, default=parameter.empty))

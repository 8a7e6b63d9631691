"""Edit a message as rspamd asks a milter to do: fields to add and remove, the subject, signatures.

A field that cannot be added, for example because it is too long, is left out, and the others are
added. Edits end with the first field that cannot be removed: the header block is too long then.
"""

from collections.abc import Callable, Iterator
from itertools import count

from gatepost import Message
from gatepost.plugins._rspamd_reply import RspamdReply, added, removed, unfolded

_SIGNATURE = "DKIM-Signature"
MARK = "Yes"


def edit(message: Message, reply: RspamdReply, spam_header: str) -> list[str]:
    """Edit a message that is accepted; return the problems."""
    problems: list[str] = []
    try:
        for name, numbers in removed(reply.milter.remove_headers):
            _remove(message, name, numbers)
        for name, value in _marks(reply, spam_header):
            message.remove_header(name)
            _add(message, name, value, problems)
        if reply.action == "rewrite subject" and reply.subject is not None and _acts(reply):
            message.replace_header("Subject", unfolded(reply.subject))
    except ValueError as error:
        return [str(error)]
    # What is added in front last comes first.
    for field in reversed(list(added(reply.milter.add_headers))):
        if field.first:
            _add(message, field.name, field.value, problems)
    for field in added(reply.milter.add_headers):
        if not field.first:
            _add(message, field.name, field.value, problems, first=False)
    return problems


def sign(message: Message, reply: RspamdReply) -> list[str]:
    """Add the signatures that rspamd has made; return the problems."""
    problems: list[str] = []
    found = reply.signatures
    for value in [found] if isinstance(found, str) else found:
        _add(message, _SIGNATURE, unfolded(value), problems)
    return problems


def _acts(reply: RspamdReply) -> bool:
    return not reply.milter.no_action


def _marks(reply: RspamdReply, spam_header: str) -> Iterator[tuple[str, str]]:
    """Yield the fields that mark spam, with an empty value if the message is not to be marked."""
    asked = reply.milter.spam_header
    marked = reply.action == "add header" and _acts(reply)
    if isinstance(asked, dict):
        yield from ((name, unfolded(value) if marked else "") for name, value in asked.items())
    elif spam_header:
        yield spam_header, unfolded(MARK if asked is None else asked) if marked else ""


def _remove(message: Message, name: str, numbers: frozenset[int]) -> None:
    """Remove the fields of a name with these numbers, or all of them."""
    if not numbers:
        message.remove_header(name)
        return
    found = len(message.headers().get_all(name))
    message.remove_header(name, _is_one_of({one % (found + 1) for one in numbers}))


def _is_one_of(numbers: set[int]) -> Callable[[str], bool]:
    """Return a function that is true for the calls with these numbers, from 1 on."""
    calls = count(1)
    return lambda _value: next(calls) in numbers


def _add(
    message: Message, name: str, value: str, problems: list[str], *, first: bool = True
) -> None:
    """Add a field, unless its value is empty."""
    if not value:
        return
    try:
        message.add_header(name, value, first=first)
    except ValueError as error:
        problems.append(f"{name[:80]}: {error}")

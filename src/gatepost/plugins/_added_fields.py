"""Header fields that plugins add by templates and conditions, as options have them.

Fields of the same names that the client has sent are removed first, because readers would trust
them. Security: fields that others rely on, such as From and Received, cannot be named.
"""

import re
from collections.abc import Iterable, Iterator
from functools import cached_property

import msgspec

from gatepost import MessageTransaction, Plugin, field
from gatepost.plugins._template import Template, check_field

_NAME = re.compile(r"[!-9;-~]{1,76}")
_PREFIX = re.compile(r"X-[!-)+-9;-~]{1,72}\*", re.IGNORECASE)
# Fields with a meaning for the delivery, the signatures or the reading of a message.
PROTECTED = frozenset(
    {
        *("arc-authentication-results", "arc-message-signature", "arc-seal"),
        *("authentication-results", "bcc", "cc", "date", "dkim-signature", "from", "message-id"),
        *("mime-version", "received", "return-path", "sender", "subject", "to"),
    }
)


class Condition(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, dict=True):
    """A condition about a message: `score` points or more, and all of `results`."""

    score: float | None = None
    results: dict[str, str] = field(default_factory=dict)

    def is_met(self, tx: MessageTransaction) -> bool:
        """Return whether a message meets the condition."""
        if self.score is not None and tx.results.score < self.score:
            return False
        return all(
            any(one.value == value for one in tx.results.all(name))
            for name, value in self.results.items()
        )


class Field(Condition, frozen=True, forbid_unknown_fields=True, kw_only=True, dict=True):
    """A field to add, with a template as its value. Raises ValueError for a wrong one."""

    name: str
    value: str

    def __post_init__(self) -> None:
        check_name(self.name)
        check_field(self.name, self.template.text)

    @cached_property
    def template(self) -> Template:
        """The value, parsed."""
        return Template(self.value)


def check_name(name: str) -> None:
    """Raise ValueError for a name that is none of a field, or of a field that others rely on."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"expected a header field name, found {name[:40]!r}")
    if name.lower() in PROTECTED or name.lower().startswith("content-"):
        raise ValueError(f"the field {name} must not be changed")


def check_removed(names: Iterable[str]) -> None:
    """Raise ValueError for names that are not to be removed; "X-Spam-*" is a prefix."""
    for name in names:
        if "*" not in name:
            check_name(name)
        elif not _PREFIX.fullmatch(name):
            raise ValueError(f"expected a name, or X-NAME*, found {name[:40]!r}")


def remove(tx: MessageTransaction, names: Iterable[str]) -> int:
    """Remove the fields of some names or prefixes; return how many there were.

    Raises ValueError if the header block is too long to be edited.
    """
    listed = list(names)
    present = _present(tx) if any(one.endswith("*") for one in listed) else []
    return sum(tx.message.remove_header(name) for name in _expanded(listed, present))


def _present(tx: MessageTransaction) -> list[str]:
    return list(dict.fromkeys(name.lower() for name, _ in tx.message.headers()))


def _expanded(names: Iterable[str], present: Iterable[str]) -> Iterator[str]:
    for name in names:
        if name.endswith("*"):
            yield from (one for one in present if one.startswith(name[:-1].lower()))
        else:
            yield name


def add(plugin: Plugin, tx: MessageTransaction, fields: Iterable[Field]) -> int:
    """Add the fields whose condition is met, the first one in front; return how many.

    A field without a value is left out. One that is too long is logged as `field not edited`.
    """
    made = [(one.name, one.template.fill(tx, plugin.server)) for one in fields if one.is_met(tx)]
    return sum(_added(plugin, tx, name, value) for name, value in reversed(made) if value)


def _added(plugin: Plugin, tx: MessageTransaction, name: str, value: str) -> bool:
    try:
        tx.message.add_header(name, value)
    except ValueError as error:
        log = plugin.log_for(tx)
        log.warning("field not edited", problem=str(error)[:500])
        return False
    return True

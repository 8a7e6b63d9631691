"""Facts: structs that plugins read but cannot assign.

A plugin that assigned `session.auth` could open the relay by mistake, and one that removed a
trap hit could hide it. So an assignment raises AttributeError, with the method to use instead, and
so does TypeError for a list. The server itself changes facts with `set_fact` and `keep` only.

Limits: this prevents mistakes. A plugin is Python code in the server's process, and can get around
it.
"""

from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

import msgspec

# Set an attribute of a fact: `set_fact(fact, name, value)`. It costs as much as an assignment.
set_fact = msgspec.structs.force_setattr

FactT = TypeVar("FactT")


class FactList(list[FactT]):
    """A list that plugins cannot change."""

    __slots__ = ()

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise TypeError(
            "plugins cannot change this list; for recipients use tx.add_recipient(),"
            " tx.replace_recipient() or a decision with recipients=[...]"
        )

    append = extend = insert = remove = pop = clear = sort = reverse = _refuse
    __setitem__ = __delitem__ = __iadd__ = __imul__ = _refuse


# The value of every list of facts that is empty: most transactions have no refused recipient.
EMPTY: FactList[Any] = FactList()


def keep(fact: Any, name: str, item: object) -> None:
    """Add an item to a list of facts."""
    found = getattr(fact, name)
    if found is EMPTY:
        set_fact(fact, name, FactList((item,)))
    else:
        list.append(found, item)


def read_only(**hints: str) -> Callable[[type[FactT]], type[FactT]]:
    """Return a decorator for structs: an assignment raises AttributeError with the field's hint."""

    def decorate(struct: type[FactT]) -> type[FactT]:
        def refuse(self: object, name: str, _value: object) -> NoReturn:
            hint = hints.get(name, "plugins can write to `notes` and `results`")
            raise AttributeError(f"{type(self).__name__}.{name} is read-only: {hint}")

        # The struct is frozen for type checkers. Its own error has no hint.
        type.__setattr__(struct, "__setattr__", refuse)
        type.__setattr__(struct, "__delattr__", lambda self, name: refuse(self, name, None))
        return struct

    return decorate

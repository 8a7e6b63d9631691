"""Lists that plugins cannot change, and structs whose fields they cannot assign.

`gatepost.model.facts` describes why. These are classes of Python, because they derive from `list`
and change the class that they decorate; what is called for each message is there, and compiled.
"""

from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

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

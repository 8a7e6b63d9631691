"""Base classes of structs in compiled modules.

mypyc drops the keywords of a class whose base is a struct: `frozen=True` would have no effect in
the compiled build, and a plugin could assign facts there. msgspec takes the options of the base
instead. This module must not be compiled, and the keywords stay for the type checker.
"""

import msgspec


class Frozen(msgspec.Struct, frozen=True):
    """A struct whose attributes cannot be assigned."""


class FrozenArray(msgspec.Struct, frozen=True, array_like=True):
    """The same, encoded as an array."""


class FrozenIdentity(msgspec.Struct, frozen=True, eq=False):
    """The same, equal only to itself."""


class FrozenLeaf(msgspec.Struct, frozen=True, gc=False):
    """The same, without work for the garbage collector: it is in no circle of references."""


class Leaf(msgspec.Struct, gc=False):
    """A struct without work for the garbage collector."""

"""The expansion of aliases, level by level, without the tables.

    expansion = Expansion(address, keys_of, Limits())
    while not expansion.is_done:
        expansion.advance(Found(aliases, mailboxes))  # of expansion.keys
    expansion.targets

The keys of an address are, in this order: with its subaddress, without it, both without the domain
if it is local, and `@` with the domain. The first one that is found counts.

Trust: tables are written by administrators and users, so a value may be anything. A target that is
not an address is a problem, and the others count. An address is expanded once. One that leads back
to itself stays if it is its own target, otherwise it is a loop, which is a problem.

Limits: `depth` levels and `most` addresses, more raise `AliasError`.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import islice
from typing import Final, NamedTuple

from gatepost import Address, AddressError

# A word, or a text in quotes; quotes that do not end go to the end of the value.
_TARGET: Final = re.compile(r'(?:"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|[^,\s"])++', re.DOTALL)
# What the value of an alias can have in other mail servers besides addresses.
_UNSUPPORTED: Final = (
    ("|", "a program: use a route with pipe:"),
    ("/", "a file: use a route"),
    (":", "a list in a file: use a table"),
)


class AliasError(ValueError):
    """An alias that cannot be expanded; `reason` is a word for logs."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class Problem(NamedTuple):
    """A target of an alias that is left out, and why."""

    alias: str
    target: str
    text: str


class AliasKeys(NamedTuple):
    """The keys of an address in their order, and its `tag` with the separator.

    `untagged` are those without the tag, if there is one.
    """

    all: tuple[str, ...]
    tag: str = ""
    untagged: tuple[str, ...] = ()


class Found(NamedTuple):
    """The answer of the tables: the values of keys, and the keys that are mailboxes."""

    values: Mapping[str, str]
    mailboxes: Collection[str] = ()

    def entry(self, keys: AliasKeys) -> str | None:
        """Return the key that counts for an address, None if it is no alias.

        The catch-all, which begins with "@", does not apply to a mailbox.
        """
        key = next((key for key in keys.all if key in self.values), None)
        if key is None or key[0] != "@" or not any(one in self.mailboxes for one in keys.all):
            return key
        return None


class Limits(NamedTuple):
    """The limits of an expansion, and whether targets get the tag of the alias."""

    depth: int = 10
    most: int = 100
    keeps_tag: bool = True


class _Node(NamedTuple):
    """An address that may be an alias, with the aliases that have led to it."""

    address: Address
    keys: AliasKeys
    parents: tuple[str, ...]


class Expansion:
    """The expansion of one address."""

    def __init__(
        self, address: Address, keys_of: Callable[[Address], AliasKeys], limits: Limits
    ) -> None:
        self._keys_of = keys_of
        self._limits = limits
        self._depth = 0
        self._seen = {address.key}
        self._open = [_Node(address, keys_of(address), ())]
        self._final: dict[str, Address] = {}
        self.problems: list[Problem] = []

    @property
    def is_done(self) -> bool:
        """Return whether no address is left that may be an alias."""
        return not self._open

    @property
    def keys(self) -> list[str]:
        """Return the keys to look up next."""
        return list(dict.fromkeys(key for node in self._open for key in node.keys.all))

    @property
    def targets(self) -> Sequence[Address]:
        """Return the addresses that are no aliases."""
        return list(self._final.values())

    def advance(self, found: Found) -> None:
        """Take the answer about the keys; raises `AliasError` if there is too much."""
        nodes, self._open = self._open, []
        for node in nodes:
            self._expand(node, found)
        self._depth += 1
        limits = self._limits
        if self._open and self._depth > limits.depth:
            raise AliasError("depth", f"an alias has more than {limits.depth} levels")
        if len(self._open) + len(self._final) > limits.most:
            raise self._too_many()

    def _too_many(self) -> AliasError:
        return AliasError("size", f"an alias has more than {self._limits.most} addresses")

    def _expand(self, node: _Node, found: Found) -> None:
        key = found.entry(node.keys)
        if key is None or not found.values[key].strip():
            self._final.setdefault(node.address.key, node.address)
            return
        texts = list(islice(split_targets(found.values[key]), self._limits.most + 1))
        if len(texts) > self._limits.most:
            raise self._too_many()
        for text in texts:
            try:
                self._add(node, key, text)
            except (AddressError, AliasError) as error:
                self.problems.append(Problem(key, text, str(error)))

    def _add(self, node: _Node, key: str, text: str) -> None:
        """Add one target; raises `AliasError` or `AddressError` if it is not possible."""
        is_last = text.startswith("\\")
        target = self._target(node, key, text.removeprefix("\\"))
        name = target.key
        if is_last or name == node.address.key:
            self._final.setdefault(name, target)
        elif name in node.parents:
            raise AliasError("loop", "a loop of aliases")
        elif name not in self._seen:
            self._seen.add(name)
            parents = (*node.parents, node.address.key)
            self._open.append(_Node(target, self._keys_of(target), parents))

    def _target(self, node: _Node, key: str, text: str) -> Address:
        check_target(text)
        address = node.address
        if text.startswith("@"):
            return Address.parse(str(Address(address.local, text[1:])))
        target = Address.parse(text if "@" in text else f"{text}@{address.domain}")
        tag = node.keys.tag if key in node.keys.untagged and self._limits.keeps_tag else ""
        if not tag or self._keys_of(target).tag:
            return target
        return Address.parse(str(Address(target.local + tag, target.domain)))


def check_target(text: str) -> None:
    """Raise `AliasError` for a target that is no address but a program, a file or a list."""
    for start, problem in _UNSUPPORTED:
        if text.lstrip('"').startswith(start):
            raise AliasError("target", f"{text!r} is {problem}")


def split_targets(value: str) -> Iterator[str]:
    """Yield the targets of an alias: they are separated by commas or white space."""
    return (match[0] for match in _TARGET.finditer(value))

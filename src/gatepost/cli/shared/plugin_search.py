"""Search for a plugin by words: among the plugins here, and by the names that others have for them.

All words must occur. A plugin whose name is a word comes first, then those with the words in their
name or first line, then those with the words in their options.
"""

from collections.abc import Iterable, Sequence

import msgspec

from gatepost.cli.shared.listed_plugins import ListedPlugin
from gatepost.importers.equivalents import Equivalent, named, plain

# Words of a question that do not describe a plugin.
_QUESTION = frozenset(("which", "what", "plugin", "plugins", "does", "do", "is", "the", "for", "a"))


class Found(msgspec.Struct):
    """The result of a search: plugins here, and those of other servers with their equivalents."""

    plugins: list[ListedPlugin]
    elsewhere: list[Equivalent]


def search(
    question: Sequence[str], plugins: Iterable[ListedPlugin], rows: Sequence[Equivalent]
) -> Found:
    """Return what has all words of a question; the best match comes first."""
    lower = [word.lower().rstrip("?") for word in question]
    words = [word for word in lower if word not in _QUESTION] or lower
    elsewhere = named(" ".join(words), rows) or [row for row in rows if _has_all(words, row)]
    linked = [name for row in elsewhere for name in row.references("plugin")]
    ranked = [(_rank(words, one, linked), one) for one in plugins]
    best = sorted((pair for pair in ranked if pair[0]), key=lambda pair: -pair[0])
    return Found([one for _, one in best], elsewhere)


def _rank(words: Sequence[str], plugin: ListedPlugin, linked: Sequence[str]) -> int:
    """Return how well a plugin matches; 0 if it does not."""
    if plain(plugin.name) in map(plain, words):
        return 4
    if _all_in(words, f"{plugin.name} {plugin.about}"):
        return 3
    if plugin.name in linked:
        return 2
    options = " ".join(f"{one.name} {one.about}" for one in plugin.options)
    return 1 if _all_in(words, f"{plugin.name} {plugin.about} {options}") else 0


def _has_all(words: Sequence[str], row: Equivalent) -> bool:
    return _all_in(words, " ".join((row.server, row.does, *row.names)))


def _all_in(words: Sequence[str], text: str) -> bool:
    lower = text.lower()
    return all(word in lower for word in words)

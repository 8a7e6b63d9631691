"""Additions of plugins to the protocol: commands, and parameters of MAIL and RCPT."""

from collections.abc import Mapping

import msgspec


class Verb(msgspec.Struct, frozen=True):
    """A command of a plugin.

    With `junk` it counts towards `limits.junk_commands`, like every command that delivers no mail.
    More than `max_arguments` words after the verb are refused with 501; None is any number.
    """

    junk: bool = True
    max_arguments: int | None = None


class Additions(msgspec.Struct, frozen=True):
    """The commands by verb, the keywords of the parameters of MAIL and RCPT; in upper case."""

    verbs: Mapping[str, Verb] = {}
    mail: frozenset[str] = frozenset()
    rcpt: frozenset[str] = frozenset()


NO_ADDITIONS = Additions()

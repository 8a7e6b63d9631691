"""`[traps]`, ready for use by sessions."""

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from gatepost.lists.senders import SenderFile, SenderList
from gatepost.model.reply import Reply
from gatepost.plugin.lifting import Lifting
from gatepost.traps.many_unknown import ManyUnknown
from gatepost.traps.table import TrapTable
from gatepost.traps.verdicts import NO_CHANGES, Cell, Treatment


class TrapRule(msgspec.Struct, frozen=True, eq=False):
    """The trap table, and what a hit causes.

    `reply` refuses a message, after `delay` seconds. `changes` are the cells that differ from the
    usual table. `many_unknown` is None if many unknown recipients are no trap. `lifting` has what
    `gatepost allow` allows. The other fields are the keys of `[traps]`.
    """

    table: TrapTable
    action: Literal["refuse", "shadow"]
    delay: float
    reply: Reply
    rcpt: Literal["as-user", "as-unknown"] = "as-user"
    verdict: Literal["data", "end", "hold"] = "data"
    hold_share: float = 0.0
    many_unknown: ManyUnknown | None = None
    message_ids: Literal["off", "shadow", "armed"] = "off"
    mark_score: float = 0.0
    changes: Mapping[Cell, Treatment] = NO_CHANGES
    trusted: Sequence[SenderFile | SenderList] = ()
    lifting: Lifting | None = None

"""`[quarantine]`: messages that plugins or traps hold until an administrator decides.

Part of `gatepost.config.schema`.
"""

from typing import Annotated

import msgspec

from gatepost.config import formats
from gatepost.config.kinds import Key, duration, size
from gatepost.config.units import parse_duration, parse_size


class QuarantineConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[quarantine]`. Durations in seconds, sizes in octets."""

    keep: Annotated[
        float,
        Key(
            duration("1h", "3650d"),
            "How long a message stays in quarantine. Then it is removed.",
            "A sender who misses an answer asks within a month.",
        ),
    ] = parse_duration("30d")
    space: Annotated[
        int,
        Key(
            size("1MiB", "64TiB"),
            "The maximum size of all messages in quarantine, for each worker. Beyond it they get"
            " 452.",
            "A tenth of queue.spool_size: mail that waits for an administrator must not take the"
            " space of mail that can be delivered.",
        ),
    ] = parse_size("1GiB")
    digest: Annotated[
        str,
        Key(
            formats.ADDRESS_OR_NONE,
            "The address that receives a list of new messages in quarantine once a day. It needs a"
            ' route. "": none.',
        ),
    ] = ""
    digest_at: Annotated[
        str,
        Key(
            formats.TIME_OF_DAY,
            "When the list is sent, in local time.",
            "Before the working day begins.",
        ),
    ] = "07:00"

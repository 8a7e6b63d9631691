"""`[traps]`: spam traps and what a hit causes.

Part of `gatepost.config.schema`. The words of `table` are those of `gatepost.traps.verdicts`; a
test compares them.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import msgspec

from gatepost.config import formats
from gatepost.config.kinds import (
    ArrayKind,
    Key,
    MappingKind,
    OrFalse,
    TableKind,
    choice,
    duration,
    integer,
    number,
)
from gatepost.model.reply import Reply

CLASSES = ("pristine", "seeded", "message-id", "learned", "recycled", "typo", "virtual")
STANDINGS = ("stranger", "acquainted", "trusted")
TREATMENTS = (
    "refuse all",
    "refuse all after the content",
    "marked after the content",
    "recipient only, rest marked",
    "recipient only",
    "none",
)


class ManyUnknownConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`many_unknown` of `[traps]`: the virtual trap."""

    minimum: Annotated[
        int,
        Key(
            integer(2, 100_000),
            "The smallest number of different unknown recipients of one transaction.",
            "A legitimate list with stale addresses hardly ever has as many in one transaction.",
        ),
    ] = 10
    share: Annotated[
        float,
        Key(
            number(0.0, 1.0),
            "The smallest part of all different recipients that they make up.",
            "A post of a list server to hundreds of users can meet ten unknown ones, but not 80 %.",
        ),
    ] = 0.8


class TrapsConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[traps]`: spam traps and what a hit causes."""

    lists: Annotated[
        Sequence[str],
        Key(
            ArrayKind(formats.PATH),
            "Files with trap addresses: one address, @domain or /regex/ per line.",
        ),
    ] = ()
    action: Annotated[
        Literal["refuse", "shadow"],
        Key(
            choice("refuse", "shadow"),
            "refuse: refuse a message for all recipients if one of them is a trap. shadow:"
            " accept the message and log that it would have been refused.",
        ),
    ] = "refuse"
    delay: Annotated[
        float,
        Key(
            duration("0s", "1m"),
            "The delay before the refusal. It does not block the worker.",
            "It slows down list washing, and stays far below the 2 minutes that a sender"
            " waits for the reply to DATA (RFC 5321 s4.5.3.2.4).",
        ),
    ] = 1.0
    reply: Annotated[
        Reply,
        Key(
            formats.REFUSAL,
            "The reply that refuses the message.",
            "Permanent, so that the sender does not try again. It does not name the trap."
            " A reply with code 421 closes the connection.",
        ),
    ] = Reply(554, "Message refused by local policy", "5.7.1")
    rcpt: Annotated[
        Literal["as-user", "as-unknown"],
        Key(
            choice("as-user", "as-unknown"),
            "What RCPT answers for a trap of a local domain that is no user. as-user: 250. The"
            " message is then refused. as-unknown: 550 5.1.1.",
            "A message with the trap as its only recipient reaches the rule. With 550 the sender"
            " can remove the address from its list.",
        ),
    ] = "as-user"
    verdict: Annotated[
        Literal["data", "end", "hold"],
        Key(
            choice("data", "end", "hold"),
            "When the message is refused. data: at DATA. end: after the content. hold: after the"
            " content, and a part of the messages with no recipient but traps is accepted and held"
            " in the queue.",
            "Refusing at DATA costs the least, and no content is stored.",
        ),
    ] = "data"
    hold_share: Annotated[
        float,
        Key(
            number(0.0, 1.0),
            'The part of these messages that is held with verdict = "hold".',
            "A client then needs several times as many messages to find out whether an address is"
            " a trap.",
        ),
    ] = 0.1
    many_unknown: Annotated[
        ManyUnknownConfig | None,
        Key(
            OrFalse(TableKind(ManyUnknownConfig)),
            "Many unknown recipients in one transaction are a trap, without a list. false: they are"
            " not.",
            "It has an effect only if there is a source of existing recipients, such as"
            " recipients.known.",
        ),
    ] = ManyUnknownConfig()
    message_ids: Annotated[
        Literal["off", "shadow", "armed"],
        Key(
            choice("off", "shadow", "armed"),
            "Unknown recipients that look like the identifier of a message are traps, without a"
            " list. shadow: hits are only logged.",
            "Your own servers may put such addresses into mail that they send. Look at the hits"
            " before you arm the rule.",
        ),
    ] = "shadow"
    trusted: Annotated[
        Sequence[str],
        Key(
            ArrayKind(formats.TRUSTED),
            'Senders of the column "trusted" of the table: networks of clients, domains of senders'
            ' that SPF has proven (".example.com" for all subdomains), "file:NAME" for a list of'
            " both.",
            "None.",
        ),
    ] = ()
    mark_score: Annotated[
        float,
        Key(
            number(0.0, 1000.0),
            "The points of a message that is marked, for the plugin score.",
            "The mark is for filters behind this server. Points can get the message refused.",
        ),
    ] = 0.0
    table: Annotated[
        Mapping[str, Mapping[str, str]],
        Key(
            MappingKind(choice(*CLASSES), MappingKind(choice(*STANDINGS), choice(*TREATMENTS))),
            "Cells of the table that differ from the defaults, such as"
            ' `recycled.stranger = "refuse all"`.',
        ),
    ] = msgspec.field(default_factory=dict)

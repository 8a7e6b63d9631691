"""The records of the ledger: one struct for each kind, and how they are encoded.

A `connection` ends with the client's last octet. A `transaction` ends with the reply to the end of
the message, or with what ended it before. A `delivery` is one attempt of the queue. A `notice` is
an event of the server, a `gap` stands for records that are missing.

Workers encode records as MessagePack maps without the fields that have their default value. The
export writes the same maps as JSON. A field is never renamed and never gets another meaning. A
reader ignores unknown fields, and an older record has the default of a newer field;
so VERSION changes only if an old reader would be wrong. docs/ledger.md lists all fields.

Times are seconds since 1970 (UTC), durations seconds, sizes octets. Text comes from clients and
from plugins: it can have any character, and what shows it must escape it.

Limits: those of `gatepost.ledger.limits`. A count has the number of all.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias

import msgspec

VERSION = 1

# "hold" is that of opinions without effect; what was held is among the changes.
Verdict: TypeAlias = Literal["accept", "deny", "defer", "hold"]
# What became of a message or a recipient.
Result: TypeAlias = Literal["accepted", "refused", "deferred", "abandoned"]
# What an administrator did with a message in the queue, or the end of its time in quarantine.
Change: TypeAlias = Literal["released", "removed", "held", "forwarded", "learned", "expired"]
Attempt: TypeAlias = Literal["delivered", "deferred", "bounced", "damaged", "quarantined", Change]


class Answer(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One opinion, or one refusal.

    `by` is a plugin, or "gatepost" (a rule of the core), "protocol", "limits", "delivery" (a
    target), "mail server" (that Gatepost is the milter of).

    `hook` is the hook's name, "" outside of hooks. `reason` is a short fixed word, or the key in
    `[limits]`. `about` is the recipient, the user, or the argument of the command that it is about,
    such as the name in HELO. `reply` is the reply that the client got, with the codes. `seconds` is
    how long the hook took, 0 if it was not measured. With `shadow` the opinion had no effect.
    `allowed` is the entry of `gatepost allow` because of which it had none, "" if the plugin is in
    shadow mode.
    """

    hook: str
    by: str
    verdict: Verdict
    reason: str = ""
    reply: str = ""
    about: str = ""
    seconds: float = 0.0
    shadow: bool = False
    allowed: str = ""


class Trap(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A trap among the recipients: the address, and the entry with its note, list and line.

    A trap that a rule has found has the setting of the rule as its list, and no line. `trap_class`
    is the class, "" for pristine, and `treatment` what the table makes of it for this sender. With
    `shadow` it had no effect.
    """

    address: str
    entry: str
    list: str
    line: int = 0
    note: str = ""
    trap_class: str = ""
    treatment: str = ""
    shadow: bool = False


class RecipientRecord(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A recipient and its answer.

    `reply` is the last reply about it: of RCPT, or of the end of the message in LMTP. `route` is
    the name of the route that a plugin has chosen. `added` is whether a plugin has added it.
    """

    address: str
    result: Result = "accepted"
    reply: str = ""
    route: str = ""
    added: bool = False


class Client(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A client.

    `address` is the IP address, or a path of a Unix socket; behind a proxy it is what the proxy
    reports, and `via` is the proxy. With a milter it is what the mail server reports, and `via` is
    the mail server. `name` is the name that XCLIENT or a look-up has verified. `tls` is for example
    "TLSv1.3", `certificate` the subject of a trusted client certificate.
    """

    address: str
    port: int = 0
    name: str = ""
    helo: str = ""
    tls: str = ""
    cipher: str = ""
    certificate: str = ""
    user: str = ""
    mechanism: str = ""
    via: str = ""
    protocol: str = "smtp"
    listener: str = ""
    xclient: Mapping[str, str] = {}


class PluginResult(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A result of a plugin: `value` is a word such as "pass", `score` a number of points.

    `reason` is for people. `facts` are the others, such as the domain.
    """

    name: str
    value: str
    score: float = 0.0
    reason: str = ""
    facts: Mapping[str, str | int | float | bool] = {}


class Connection(
    msgspec.Struct, frozen=True, omit_defaults=True, gc=False, tag_field="kind", tag="connection"
):
    """A connection, also one that never became a session.

    `end` is how it ended: "quit", "lost" (the client closed it), "refused" (by a rule or plugin at
    connect), "early-talker", "tls-failed", "proxy-refused", "shutdown", "administrator" (ended by
    `gatepost sessions end`), "failed" (an internal error), or the key in `[limits]` that it
    exceeded. `problem` is the detail of a failure.
    `answers` are opinions outside of transactions; `faults` is the number of all refusals of the
    connection, those of transactions included. `repeated` is the number of connections that were
    refused before this one and have no record. `received` and `sent` are octets on the wire.
    """

    time: float
    ref: str
    client: Client
    seconds: float = 0.0
    end: str = "lost"
    problem: str = ""
    reply: str = ""
    answers: Sequence[Answer] = ()
    faults: int = 0
    repeated: int = 0
    transactions: int = 0
    messages: int = 0
    received: int = 0
    sent: int = 0


class Transaction(
    msgspec.Struct, frozen=True, omit_defaults=True, gc=False, tag_field="kind", tag="transaction"
):
    """A mail transaction, from MAIL to its end.

    `session` is the reference of its connection. `result` is "abandoned" if it ended without a
    reply to DATA or to the end of the message: by RSET, a new MAIL, a time-out or a lost
    connection. If all recipients were refused, it is the result of the last one. A MAIL that was
    refused is a transaction too, with the reference of its connection.

    `hook`, `by` and `reason` are those of the opinion that decided, "" if none did. `reply` is the
    final reply.

    `recipients` are those that the message was or would have been delivered to, and those refused;
    `recipients_count` is the number of all, `refused_count` of the refused ones. `replaced` are
    those that the client has named and plugins have put others in place of. `faults` is the
    number of refusals that are neither about a recipient nor the final reply, such as those of
    malformed commands. `shadowed` is whether traps were hit and shadow mode let the message pass.
    `results` are what plugins found, `score` is the sum of their points, `edits` and `changes` are
    what plugins did to the message and its recipients. `next_hops` are next hops that have accepted
    the message, each with its reply. `plugin` is the plugin that submitted the message. `queue_id`
    is the name of the message in the queue of the mail server that Gatepost is the milter of.
    """

    time: float
    ref: str
    session: str
    client: Client
    sender: str
    result: Result = "abandoned"
    by: str = ""
    reason: str = ""
    reply: str = ""
    seconds: float = 0.0
    recipients: Sequence[RecipientRecord] = ()
    recipients_count: int = 0
    size: int = 0
    message_id: str = ""
    header_from: str = ""
    subject: str = ""
    answers: Sequence[Answer] = ()
    traps: Sequence[Trap] = ()
    traps_count: int = 0
    shadowed: bool = False
    results: Sequence[PluginResult] = ()
    score: float = 0.0
    edits: Sequence[str] = ()
    changes: Sequence[str] = ()
    next_hops: Mapping[str, str] = {}
    plugin: str = ""
    problem: str = ""
    hook: str = ""
    refused_count: int = 0
    faults: int = 0
    queue_id: str = ""
    replaced: Sequence[str] = ()


class Delivery(
    msgspec.Struct, frozen=True, omit_defaults=True, gc=False, tag_field="kind", tag="delivery"
):
    """An attempt of the queue for recipients of a message, or a change; `ref` is the transaction's.

    `destination` is the route's target or its next hop, `reply` what it answered, `detail` the
    reason of a failure. `sender` is the envelope sender.
    """

    time: float
    ref: str
    destination: str
    result: Attempt
    recipients: Sequence[str] = ()
    recipients_count: int = 0
    reply: str = ""
    detail: str = ""
    sender: str = ""


class Notice(
    msgspec.Struct, frozen=True, omit_defaults=True, gc=False, tag_field="kind", tag="notice"
):
    """An event of the server: "started", "reloaded", "worker exited", "dashboard login".

    `about` is the user of an event of the dashboard, `detail` the client.
    """

    time: float
    name: str
    detail: str = ""
    about: str = ""


class Gap(msgspec.Struct, frozen=True, omit_defaults=True, gc=False, tag_field="kind", tag="gap"):
    """Records that are missing: `count` of them, between `since` and `time`.

    `cause` is why: "the ledger was too slow", "the ledger process ended", "the disk was full".
    """

    time: float
    since: float
    count: int
    cause: str = ""


Record: TypeAlias = Connection | Transaction | Delivery | Notice | Gap

# The authors of opinions that are no plugins.
SERVER = frozenset({"gatepost", "protocol", "limits", "delivery", "next hop", "mail server", ""})

encode = msgspec.msgpack.Encoder(enc_hook=str).encode
_decode = msgspec.msgpack.Decoder(Record).decode
_to_json = msgspec.json.Encoder().encode


class RecordError(ValueError):
    """An encoded record that cannot be read."""


def decode(data: bytes | memoryview) -> Record:
    """Return an encoded record; raises `RecordError`."""
    try:
        record: Record = _decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise RecordError(f"expected a record of the ledger: {error}") from error
    return record


def to_json(record: Record) -> bytes:
    """Return a record as one line of JSON, without a line feed; `version` is the schema's."""
    return _to_json({"version": VERSION, **to_dict(record)})


def to_dict(record: Record) -> dict[str, Any]:
    """Return a record as plain values, without the fields that have their default value."""
    plain: dict[str, Any] = msgspec.to_builtins(record)
    return plain

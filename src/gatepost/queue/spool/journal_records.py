"""The two records of a journal, as MessagePack: a message arrived, and recipients are done.

Trusts a record of the journal, whose checksum was correct, to be of one of the two types; any other
payload raises msgspec.MsgspecError.
"""

from collections.abc import Sequence

import msgspec

from gatepost.queue.spool.records import MessageFacts, NewMessage, NewRecipient
from gatepost.queue.spool.sql.insert import StoredMessage


class PutRecord(msgspec.Struct, frozen=True, array_like=True, tag="put"):
    """A message that arrived, its number, and the numbers of its recipients."""

    message: int
    rows: Sequence[int]
    facts: MessageFacts
    recipients: Sequence[NewRecipient]
    received: float
    expires: float
    event: float | None
    content: bytes


class DoneRecord(msgspec.Struct, frozen=True, array_like=True, tag="done"):
    """Recipients that have the message."""

    rows: Sequence[int]


JournalRecord = PutRecord | DoneRecord

encode_record = msgspec.msgpack.Encoder().encode
decode_record = msgspec.msgpack.Decoder(JournalRecord).decode


def put_record(new_message: NewMessage, stored: StoredMessage) -> PutRecord:
    """Return the record of a message that arrived."""
    return PutRecord(
        stored.ids.message,
        stored.ids.recipients,
        new_message.facts,
        new_message.recipients,
        new_message.received,
        new_message.expires,
        new_message.event,
        stored.first,
    )

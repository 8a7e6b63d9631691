"""Add the fields that a message lacks: Date and Message-ID (RFC 6409 sections 8.2 and 8.3).

Only mail of authenticated clients is completed. A message from any other client stays as it is: a
field in front of it could break a signature, and its absence is a reason for filters.

The fields are added when the header block is complete, before plugins see the whole message, so
that a plugin that signs can include them. A field without a value counts as present.
"""

from gatepost.model.facts import set_fact
from gatepost.model.session import Transaction
from gatepost.session.content.scan import HeaderScan
from gatepost.session.content.trace import date


def complete(tx: Transaction, scan: HeaderScan, hostname: str) -> None:
    """Add Date and Message-ID to the message unless it has them; set `tx.message_id`."""
    assert tx.message is not None
    if scan.message_id is None:
        # The time makes the reference, which is unique for a run of the server, unique for ever.
        set_fact(tx, "message_id", f"<{tx.id}.{int(tx.received):x}@{hostname}>")
        tx.message.add_header("Message-ID", tx.message_id)
    if not scan.dated:
        tx.message.add_header("Date", date(int(tx.received)))

"""The senders of a delivery: that of the client, unless plugins have set others.

A target, and a message in the queue, has one sender. So recipients with different senders are
delivered separately.
"""

from collections.abc import Sequence

import msgspec

from gatepost.model.session import Recipient, Sender, Transaction, chosen_sender


def by_sender(
    tx: Transaction, recipients: Sequence[Recipient]
) -> list[tuple[Sender | None, list[Recipient]]]:
    """Return each sender that plugins have set, None for that of the client, with its recipients.

    They are in order of first use.
    """
    shares: dict[Sender | None, list[Recipient]] = {}
    for one in recipients:
        shares.setdefault(chosen_sender(tx, one), []).append(one)
    return list(shares.items())


def as_sent(tx: Transaction, recipients: Sequence[Recipient]) -> Transaction:
    """Return the transaction with the sender of recipients, which have the same."""
    if tx.acting is None or not tx.acting.has_senders:
        return tx
    sender = chosen_sender(tx, recipients[0])
    return tx if sender is None else msgspec.structs.replace(tx, reverse_path=sender.address)

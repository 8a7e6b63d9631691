"""Addresses that plugins put into the envelope of a message."""

from gatepost.model.address import Address
from gatepost.model.session import Transaction


def in_envelope(tx: Transaction, address: Address | str) -> Address:
    """Return an address that the envelope of a message can have; raises ValueError."""
    parsed = Address.parse(address) if isinstance(address, str) else address
    if not parsed.domain:
        raise ValueError(f"expected an address with a domain, found {str(parsed)!r}")
    if "SMTPUTF8" not in tx.params and not str(parsed).isascii():
        raise ValueError(f"{parsed}: the client has not requested SMTPUTF8")
    return parsed

"""The parts that the rules of plugins with limits count by, such as the user.

Limits: a rule counts by one value of each part, in one key of the store; a long key is hashed
there.
"""

from collections.abc import Callable, Mapping, Sequence

from gatepost import Recipient, Session, Transaction
from gatepost.plugins._addresses import parse_address
from gatepost.plugins._subjects import client_network, domain_of

# The prefixes of the networks that rules count by, as in `[limits]`.
_IPV4, _IPV6 = 24, 64

Part = Callable[[Session, Transaction | None, Recipient | None], str]


def _address(session: Session, _tx: Transaction | None, _rcpt: Recipient | None) -> str:
    address = parse_address(session.peer.host)
    return "" if address is None else str(address)


def _network(session: Session, _tx: Transaction | None, _rcpt: Recipient | None) -> str:
    return client_network(session.peer.host, _IPV4, _IPV6)


def _asn(session: Session, _tx: Transaction | None, _rcpt: Recipient | None) -> str:
    geo = session.results.get("geo")
    return str(geo.facts.get("asn", "")) if geo else ""


def _user(session: Session, _tx: Transaction | None, _rcpt: Recipient | None) -> str:
    return session.auth.user if session.auth else ""


def _sender(_session: Session, tx: Transaction | None, _rcpt: Recipient | None) -> str:
    return "" if tx is None else tx.reverse_path.key if tx.reverse_path else "<>"


def _sender_domain(_session: Session, tx: Transaction | None, _rcpt: Recipient | None) -> str:
    return "" if tx is None else domain_of(tx.reverse_path) or "<>"


def _recipient(_session: Session, _tx: Transaction | None, rcpt: Recipient | None) -> str:
    return "" if rcpt is None else f"{rcpt.user}@{rcpt.domain}"


def _recipient_domain(_session: Session, _tx: Transaction | None, rcpt: Recipient | None) -> str:
    return "" if rcpt is None else rcpt.domain


PARTS: Mapping[str, Part] = {
    "address": _address,
    "network": _network,
    "asn": _asn,
    "user": _user,
    "sender": _sender,
    "sender_domain": _sender_domain,
    "recipient": _recipient,
    "recipient_domain": _recipient_domain,
}
# Parts that are known of a client before it sends a command.
OF_CLIENT = ("address", "network", "asn")
OF_SENDER = ("sender", "sender_domain")
OF_RECIPIENT = ("recipient", "recipient_domain")


def subject_of(
    by: Sequence[str],
    session: Session,
    tx: Transaction | None = None,
    rcpt: Recipient | None = None,
) -> str | None:
    """Return what a rule counts, as text; None if the rule does not apply.

    It does not apply without one of its parts, such as a user who has authenticated. The null
    sender alone is no subject: all bounces of the Internet would have one limit.
    """
    values = [PARTS[part](session, tx, rcpt) for part in by]
    if not all(values):
        return None
    if values and all(value == "<>" for value in values):
        return None
    return " ".join(values)


def check_names(names: Sequence[str]) -> None:
    """Raise ValueError unless there are rules, and their names differ and are not blank."""
    if not names:
        raise ValueError("rules: expected at least one rule")
    for name in names:
        if not name.strip() or len(name) > 60:
            raise ValueError(f"rules: expected a name of 1 to 60 characters, found {name[:80]!r}")
    if len(set(names)) < len(names):
        raise ValueError("rules: expected a different name for each rule")

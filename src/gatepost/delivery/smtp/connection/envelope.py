"""The commands for one delivery, MAIL and RCPT, with the parameters that the next hop offers.

| parameter                 | if it is offered | if it is not                                     |
|---------------------------|------------------|--------------------------------------------------|
| SIZE                      | sent             | left out (RFC 1870)                              |
| BODY                      | passed on        | left out; 554 5.6.3 for 8-bit content            |
| SMTPUTF8                  | passed on        | 550 5.6.7 if the message needs it (RFC 6531 s3.2)|
| RET, ENVID, NOTIFY, ORCPT | passed on        | left out (RFC 3461 s5.2.2)                       |
| AUTH                      | left out         | left out                                         |

Without SMTPUTF8, a domain that is not ASCII is sent as A-labels.
"""

from collections.abc import Iterable, Iterator, Mapping

from gatepost.delivery.content import content_size
from gatepost.delivery.smtp import errors
from gatepost.delivery.target import Delivery, DeliveryError
from gatepost.model.address import Address, domain_key
from gatepost.model.message import Message
from gatepost.model.session import Recipient, Transaction
from gatepost.model.structs import Frozen
from gatepost.wire import events as e

# Parameters that are passed on, each with the extension that must be offered.
PASSED_ON = {
    "BODY": "8BITMIME",
    "SMTPUTF8": "SMTPUTF8",
    "RET": "DSN",
    "ENVID": "DSN",
    "NOTIFY": "DSN",
    "ORCPT": "DSN",
}
_NO_PARAMS: dict[str, str] = {}


class Commands(Frozen, frozen=True):
    """The commands: `rcpts` are (recipient, command) pairs, `size` the octets of the message.

    `failures` are the recipients that cannot be sent to this next hop.
    """

    mail: e.Mail
    rcpts: list[tuple[Recipient, e.Rcpt]]
    size: int
    failures: dict[Recipient, DeliveryError]


def make_commands(delivery: Delivery, offered: Mapping[str, str]) -> Commands:
    """Return the commands for a next hop that offers these extensions; raise `DeliveryError`."""
    tx, message = delivery.transaction, delivery.message
    size = content_size(message)
    _check_size(size, offered)
    if "8BITMIME" not in offered and tx.params.get("BODY") == "8BITMIME":
        _require_seven_bits(message)
    if "SMTPUTF8" not in offered and "SMTPUTF8" in tx.params:
        _require_ascii_headers(message)
    mail = make_mail(tx, delivery.recipients, offered)
    if "SIZE" in offered:
        mail = e.Mail(mail.path, {"SIZE": str(size), **mail.params})
    rcpts: list[tuple[Recipient, e.Rcpt]] = []
    failures: dict[Recipient, DeliveryError] = {}
    for one in delivery.recipients:
        try:
            rcpts.append((one, make_rcpt(one, offered)))
        except DeliveryError as error:
            failures[one] = error
    return Commands(mail, rcpts, size, failures)


def make_mail(
    tx: Transaction, recipients: Iterable[Recipient], offered: Mapping[str, str]
) -> e.Mail:
    """Return MAIL without SIZE; raise `DeliveryError`."""
    path = _path(tx.reverse_path, offered)
    params = _passed_on(tx.params, offered) if tx.params else _NO_PARAMS
    if "SMTPUTF8" in params or "SMTPUTF8" not in offered:
        return e.Mail(path, params)
    if not (_is_ascii(path) and all(_is_ascii(one.address) for one in recipients)):
        params = {**params, "SMTPUTF8": ""}
    return e.Mail(path, params)


def make_rcpt(recipient: Recipient, offered: Mapping[str, str]) -> e.Rcpt:
    """Return RCPT; raise `DeliveryError`."""
    params = _passed_on(recipient.params, offered) if recipient.params else _NO_PARAMS
    return e.Rcpt(_path(recipient.address, offered), params)


def _passed_on(params: Mapping[str, str], offered: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in params.items() if PASSED_ON.get(key) in offered}


def _path(address: Address, offered: Mapping[str, str]) -> Address:
    if "SMTPUTF8" in offered or _is_ascii(address):
        return address
    domain = domain_key(address.domain)
    if not (address.local.isascii() and domain.isascii()):
        raise errors.impossible("5.6.7", f"{_NO_UTF8}, which an address requires")
    return Address(address.local, domain)


def _is_ascii(address: Address) -> bool:
    return address.local.isascii() and address.domain.isascii()


def _check_size(size: int, offered: Mapping[str, str]) -> None:
    """Raise `DeliveryError` for a message over the next hop's limit; RFC 1870 s6.1: 0 is none."""
    limit = offered.get("SIZE", "")
    if limit.isascii() and limit.isdigit() and len(limit) <= 20 and 0 < int(limit) < size:
        text = f"Message size {size} exceeds size limit {limit} of next hop"
        raise errors.impossible("5.3.4", text, code=552)


def _require_seven_bits(message: Message) -> None:
    if not all(piece.isascii() for piece in message):
        raise errors.impossible("5.6.3", "Next hop does not support 8BITMIME", code=554)


def _require_ascii_headers(message: Message) -> None:
    if not all(piece.isascii() for piece in _headers(message)):
        raise errors.impossible("5.6.7", f"{_NO_UTF8}, which a header field requires")


def _headers(message: Message) -> Iterator[bytes]:
    """Yield the header section in pieces, without the body."""
    tail = b"\r\n"
    for piece in message:
        joined = tail + piece
        end = joined.find(b"\r\n\r\n")
        if end >= 0:
            yield joined[:end]
            return
        yield piece
        tail = joined[-3:]


_NO_UTF8 = "Next hop does not support SMTPUTF8"

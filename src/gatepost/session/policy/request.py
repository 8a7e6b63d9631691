"""The facts in a policy request: the client of the mail server, and the SMTP command.

Trust: the mail server is believed about the client, as a proxy is that sends the PROXY header. A
listener for policy requests must be reachable from mail servers only.

Limits: an address that is none, such as Postfix's "unknown", is that of a local client. Addresses
are in the form that Postfix has after parsing: without quotation marks.
"""

import re
from collections.abc import Mapping
from typing import Final

from gatepost.model.address import NULL_PATH, Address, AddressError, quote
from gatepost.model.endpoint import Endpoint
from gatepost.model.session import AuthFacts, TlsFacts
from gatepost.wire import events as e
from gatepost.wire.ip import ipv4, ipv6

# How far the mail server's transaction is. HELO and EHLO are the same step.
CONNECT, HELO, MAIL, RCPT, DATA = range(5)
STAGES: Final = {
    "CONNECT": CONNECT,
    "HELO": HELO,
    "EHLO": HELO,
    "MAIL": MAIL,
    "RCPT": RCPT,
    "DATA": DATA,
    "END-OF-MESSAGE": DATA,
}
_MAX_DIGITS: Final = 15
_LOCAL: Final = "local"
# Long queue ids of Postfix have at most 20 characters, those of Exim 23.
_MAX_ID: Final = 40
_ID: Final = re.compile("[A-Za-z0-9-]+").fullmatch

Attributes = Mapping[str, str]


def stage(attributes: Attributes) -> int | None:
    """Return how far the transaction is, None for commands without one (VRFY, ETRN)."""
    return STAGES.get(attributes.get("protocol_state", ""))


def client(attributes: Attributes) -> Endpoint:
    """Return the client of the mail server."""
    return _endpoint(attributes, "client")


def server(attributes: Attributes) -> Endpoint:
    """Return the address of the mail server that the client has connected to."""
    return _endpoint(attributes, "server")


def _endpoint(attributes: Attributes, who: str) -> Endpoint:
    address = attributes.get(f"{who}_address", "")
    try:
        host = ipv6(address) if ":" in address else ipv4(address)
    except ValueError:
        return Endpoint(_LOCAL)
    return Endpoint(host, _number(attributes, f"{who}_port") & 0xFFFF)


def _number(attributes: Attributes, name: str) -> int:
    """Return a number, 0 if the attribute is none."""
    text = attributes.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS else 0


def tls(attributes: Attributes) -> TlsFacts | None:
    """Return the TLS version and cipher of the client, None without encryption."""
    version = attributes.get("encryption_protocol", "")
    return TlsFacts(version, attributes.get("encryption_cipher", "")) if version else None


def login(attributes: Attributes) -> AuthFacts | None:
    """Return the user that the client is authenticated as, None if it is not."""
    user = attributes.get("sasl_username", "")
    return AuthFacts(user, attributes.get("sasl_method", "")) if user else None


def queue_id(attributes: Attributes) -> str:
    """Return the mail server's id of the message, "" as long as it has none."""
    found = attributes.get("queue_id", "")
    return found if len(found) <= _MAX_ID and _ID(found) else ""


def hello(attributes: Attributes) -> e.Ehlo | e.Helo | None:
    """Return the greeting of the client, None before it."""
    name = attributes.get("helo_name", "")
    if not name:
        return None
    return e.Helo(name) if attributes.get("protocol_name") == "SMTP" else e.Ehlo(name)


def mail(attributes: Attributes) -> e.Mail:
    """Return the MAIL command; raises `AddressError`."""
    size = _number(attributes, "size")
    sender = attributes.get("sender", "")
    return e.Mail(_address(sender) if sender else NULL_PATH, {"SIZE": str(size)} if size else {})


def rcpt(attributes: Attributes) -> e.Rcpt:
    """Return the RCPT command; raises `AddressError`."""
    return e.Rcpt(_address(attributes.get("recipient", "")), {})


def _address(text: str) -> Address:
    """Return an address in Postfix's form; one without a domain is local to the mail server."""
    local, at, domain = text.rpartition("@")
    if not at and text:
        return Address(Address.parse(f"{text}@{_LOCAL}").local, "")
    try:
        return Address.parse(text)
    except AddressError:
        return Address.parse(f"{quote(local)}@{domain}")

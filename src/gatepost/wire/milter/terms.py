"""The negotiation of a milter connection: what both sides offer, and the terms that follow.

A mail server that cannot make all the changes that plugins may ask for is refused at once. It would
otherwise deliver a message without them. Parameters of added recipients and another sender are the
exceptions: old mail servers cannot take these.
"""

import functools
from typing import Final, NamedTuple

from gatepost.wire.milter import codes as c
from gatepost.wire.milter.packets import PacketError, number, numbers, packet

OLDEST: Final = 2
NEWEST: Final = 6

_REQUIRED: Final = (
    c.CAN_ADD_HEADERS
    | c.CAN_CHANGE_BODY
    | c.CAN_ADD_RECIPIENTS
    | c.CAN_DELETE_RECIPIENTS
    | c.CAN_CHANGE_HEADERS
    | c.CAN_QUARANTINE
)
_KNOWN: Final = (
    _REQUIRED | c.CAN_CHANGE_SENDER | c.CAN_ADD_RECIPIENTS_WITH_PARAMS | c.CAN_CHOOSE_MACROS
)
_STEPS: Final = c.SILENT_HEADERS | c.CAN_SKIP | c.REFUSED_RECIPIENTS | c.LEADING_SPACE

# The macros that become facts, by the number of their stage in the protocol.
_MACROS: Final = (
    (0, "j v {daemon_name} {daemon_addr} {daemon_port} {client_ptr}"),
    (1, "{tls_version} {cipher} {cert_subject} {verify}"),
    (2, "i {auth_type} {auth_authen} {tls_version} {cipher} {cert_subject} {verify}"),
    (3, "i {rcpt_mailer} {rcpt_host} {rcpt_addr}"),
    (4, "i"),
    (6, "i"),
    (5, "i"),
)


class Needs(NamedTuple):
    """The needs of the filter: the body of messages, unknown commands, an answer at a stage."""

    body: bool = True
    unknown: bool = True
    answers_connect: bool = True
    answers_helo: bool = True

    @property
    def steps(self) -> int:
        """Return the steps to ask for."""
        steps = _STEPS
        steps |= 0 if self.body else c.NO_BODY
        steps |= 0 if self.unknown else c.NO_UNKNOWN
        steps |= 0 if self.answers_connect else c.SILENT_CONNECT
        steps |= 0 if self.answers_helo else c.SILENT_HELO
        return steps


class Terms(NamedTuple):
    """The terms of a connection: the version, and the bits that both sides have.

    `silent` are the commands that get no response, `encoded` is the response to the offer.
    """

    version: int
    actions: int
    steps: int
    silent: frozenset[bytes] = frozenset()
    encoded: bytes = b""

    @property
    def with_data(self) -> bool:
        """Return whether the mail server sends DATA."""
        return self.version >= c.WITH_DATA


_SILENT: Final = (
    (c.SILENT_HEADERS, c.HEADER),
    (c.SILENT_CONNECT, c.CONNECT),
    (c.SILENT_HELO, c.HELO),
)

# Before the negotiation.
NO_TERMS: Final = Terms(OLDEST, 0, 0)


# All connections of a mail server begin with the same offer.
@functools.lru_cache(maxsize=16)
def agree(offer: bytes, needs: Needs) -> Terms:
    """Return the terms that follow from an offer; raises `PacketError` if there are none."""
    version, actions, steps = numbers(offer, 3)
    if version < OLDEST:
        raise PacketError(f"expected version {OLDEST} or later, found {version}")
    if actions & _REQUIRED != _REQUIRED:
        raise PacketError(f"expected the actions {_REQUIRED:#x}, found {actions:#x}")
    version, actions, steps = min(version, NEWEST), actions & _KNOWN, steps & needs.steps
    silent = frozenset(command for bit, command in _SILENT if steps & bit)
    return Terms(version, actions, steps, silent, _encoded(version, actions, steps))


def _encoded(version: int, actions: int, steps: int) -> bytes:
    data = number(version) + number(actions) + number(steps)
    if actions & c.CAN_CHOOSE_MACROS:
        data += b"".join(number(stage) + f"{names}\0".encode() for stage, names in _MACROS)
    return packet(c.NEGOTIATE, data)

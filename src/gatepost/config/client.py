"""`client` of a `[[route]]`: delivery to a next hop by SMTP or LMTP.

Part of `gatepost.config.schema`.
"""

from typing import Annotated, Literal

import msgspec

from gatepost.config import formats
from gatepost.config.kinds import BOOLEAN, Key, choice, duration, integer
from gatepost.config.units import parse_duration


class ClientConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`client` of a `[[route]]`: delivery to a next hop by SMTP or LMTP."""

    tls: Annotated[
        Literal["none", "opportunistic", "required", "verified"],
        Key(
            choice("none", "opportunistic", "required", "verified"),
            "none: no TLS. opportunistic: TLS if the next hop offers it. required: defer"
            " the mail without TLS, but accept any certificate. verified: also require a"
            " valid certificate for the host name.",
            "Many mail servers have certificates that no public CA has issued.",
        ),
    ] = "opportunistic"
    ca: Annotated[
        str,
        Key(
            formats.PATH_OR_NONE,
            'The PEM file with the CAs of the next hop, for tls = "verified". Empty: the'
            " CAs of the system.",
        ),
    ] = ""
    server_name: Annotated[
        str,
        Key(
            formats.NAME_OR_NONE,
            "The server name to request in the handshake and to require in the certificate."
            " Empty: the host of the target.",
        ),
    ] = ""
    user: Annotated[str, Key(formats.TEXT, "The user name for AUTH. Empty: no AUTH.")] = ""
    password_file: Annotated[
        str,
        Key(formats.PATH_OR_NONE, "The file with the password in its first line."),
    ] = ""
    auth_in_clear: Annotated[
        bool,
        Key(
            BOOLEAN,
            "Send AUTH without TLS too.",
            "Anyone on the network path could read the password.",
        ),
    ] = False
    helo: Annotated[
        str,
        Key(formats.HOSTNAME_OR_NONE, "The name to send in EHLO. Empty: server.hostname."),
    ] = ""
    forward: Annotated[
        Literal["none", "xclient", "proxy-v1", "proxy-v2"],
        Key(
            choice("none", "xclient", "proxy-v1", "proxy-v2"),
            "How to pass the client's identity to the next hop. xclient: with XCLIENT, if"
            " the next hop offers it. proxy-v1 and proxy-v2: with a PROXY header, which the"
            " next hop must expect. Connections are then not shared between clients.",
            "A next hop that does not expect a PROXY header treats it as garbage.",
        ),
    ] = "none"
    chunking: Annotated[
        bool,
        Key(
            BOOLEAN,
            "Send content with BDAT if the next hop offers CHUNKING.",
            "BDAT sends the length first, so that nothing in the content can be taken for its end.",
        ),
    ] = True
    connections: Annotated[
        int,
        Key(
            integer(1, 10_000),
            "Concurrent connections to one next hop, per worker.",
            "As Postfix's default_destination_concurrency_limit. Further deliveries wait.",
        ),
    ] = 20
    messages_per_connection: Annotated[
        int,
        Key(
            integer(1, 1_000_000),
            "Messages on one connection before it is closed.",
            "Many servers reply 421 after some number of messages. This is below most of"
            " these limits.",
        ),
    ] = 100
    idle_timeout: Annotated[
        float,
        Key(
            duration("0s", "1h"),
            "How long an idle connection is kept.",
            "Below the 5 minutes that RFC 5321 s4.5.3.2.7 requires of servers, and short"
            " enough not to hold connections of a busy server.",
        ),
    ] = parse_duration("30s")
    connect_timeout: Annotated[
        float,
        Key(
            duration("100ms", "10m"),
            "The wait for a connection, and for a free one.",
            "A reachable host answers within seconds, and there may be other addresses to try.",
        ),
    ] = parse_duration("30s")
    command_timeout: Annotated[
        float,
        Key(
            duration("100ms", "1h"),
            "The wait for the greeting, the TLS handshake and the reply to a command.",
            "RFC 5321 s4.5.3.2.1 to s4.5.3.2.3: 5 minutes.",
        ),
    ] = parse_duration("5m")
    data_timeout: Annotated[
        float,
        Key(
            duration("100ms", "1h"),
            "The wait for the next hop to accept each piece of content.",
            "RFC 5321 s4.5.3.2.5: 3 minutes.",
        ),
    ] = parse_duration("3m")
    end_timeout: Annotated[
        float,
        Key(
            duration("100ms", "1h"),
            "The wait for the reply to the end of a message.",
            "RFC 5321 s4.5.3.2.6: 10 minutes. If the reply comes later, the message is sent"
            " again and may arrive twice.",
        ),
    ] = parse_duration("10m")
    verify: Annotated[
        bool,
        Key(
            BOOLEAN,
            "At RCPT, ask the next hop whether it accepts the recipient (call-ahead). Not"
            " used with mx:.",
            "SMTP has one reply for the whole message. Without call-ahead, one bad"
            " recipient would refuse the message for all, or cause a bounce.",
        ),
    ] = True
    verify_keep: Annotated[
        float,
        Key(
            duration("0s", "7d"),
            "How long an accepted recipient is cached.",
            "If the recipient disappears in the meantime, the next hop still refuses it at"
            " delivery.",
        ),
    ] = parse_duration("1h")
    verify_keep_refused: Annotated[
        float,
        Key(
            duration("0s", "7d"),
            "How long a refused recipient is cached.",
            "Long enough to protect the next hop from a dictionary attack, and short enough"
            " for a new user.",
        ),
    ] = parse_duration("1m")

"""`client` of a `[[route]]`: how mail is handed to a next hop by SMTP or LMTP.

A part of `gatepost.config.schema`, which says how to read it.
"""

from typing import Annotated, Literal

import msgspec

from gatepost.config import formats
from gatepost.config.kinds import BOOLEAN, Key, duration, one_of, whole
from gatepost.config.units import parse_duration


class Client(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`client` of a `[[route]]`: how mail is handed to a next hop by SMTP or LMTP."""

    tls: Annotated[
        Literal["none", "wanted", "required", "verified"],
        Key(
            one_of("none", "wanted", "required", "verified"),
            "none: never. wanted: where it is offered. required: no mail without, whoever's the"
            " certificate is. verified: and the certificate must be the host's.",
            "Mail servers with certificates that nobody vouches for are common.",
        ),
    ] = "wanted"
    ca: Annotated[
        str,
        Key(
            formats.PATH_OR_NONE,
            'The PEM file of who vouches for the next hop, with tls = "verified"; empty: those the'
            " system believes.",
        ),
    ] = ""
    server_name: Annotated[
        str,
        Key(
            formats.NAME_OR_NONE,
            "The name to ask for in the handshake and to find in the certificate; empty: the host"
            " as the target names it.",
        ),
    ] = ""
    user: Annotated[str, Key(formats.TEXT, "The user to log in as (AUTH); empty: nobody.")] = ""
    password_file: Annotated[
        str,
        Key(formats.PATH_OR_NONE, "The file that has the user's password in its first line."),
    ] = ""
    auth_in_clear: Annotated[
        bool,
        Key(
            BOOLEAN,
            "Also log in where there is no TLS.",
            "Whoever listens would have the password.",
        ),
    ] = False
    helo: Annotated[
        str,
        Key(formats.HOSTNAME_OR_NONE, "The name to greet with; empty: server.hostname."),
    ] = ""
    forward: Annotated[
        Literal["none", "xclient", "proxy-v1", "proxy-v2"],
        Key(
            one_of("none", "xclient", "proxy-v1", "proxy-v2"),
            "How the next hop is told who the client is: by XCLIENT where it offers that, or by a"
            " PROXY header, which it must expect. Each client then has connections of its own.",
            "A next hop that does not expect it takes a PROXY header for garbage.",
        ),
    ] = "none"
    chunking: Annotated[
        bool,
        Key(
            BOOLEAN,
            "Send content by BDAT where the next hop offers CHUNKING.",
            "Its length is said beforehand: nothing in it can be taken for its end.",
        ),
    ] = True
    connections: Annotated[
        int,
        Key(
            whole(1, 10_000),
            "Connections to one next hop at a time, per worker.",
            "As Postfix's default_destination_concurrency_limit; more wait for their turn.",
        ),
    ] = 20
    messages_per_connection: Annotated[
        int,
        Key(
            whole(1, 1_000_000),
            "Messages on one connection before it is closed.",
            "Many servers count and say 421 at some number; this is below most of them.",
        ),
    ] = 100
    idle_timeout: Annotated[
        float,
        Key(
            duration("0s", "1h"),
            "How long a connection is kept that has nothing to do.",
            "Below the 5 minutes RFC 5321 s4.5.3.2.7 has a server wait, and short enough not to"
            " occupy one that is busy.",
        ),
    ] = parse_duration("30s")
    connect_timeout: Annotated[
        float,
        Key(
            duration("100ms", "10m"),
            "The wait for a connection, and for one to be free.",
            "A host that is there answers within seconds; there may be other addresses to try.",
        ),
    ] = parse_duration("30s")
    command_timeout: Annotated[
        float,
        Key(
            duration("100ms", "1h"),
            "The wait for the greeting, the handshake, and the answers to commands.",
            "RFC 5321 s4.5.3.2.1 to s4.5.3.2.3: 5 minutes.",
        ),
    ] = parse_duration("5m")
    data_timeout: Annotated[
        float,
        Key(
            duration("100ms", "1h"),
            "The wait for each piece of a message to be taken.",
            "RFC 5321 s4.5.3.2.5: 3 minutes.",
        ),
    ] = parse_duration("3m")
    end_timeout: Annotated[
        float,
        Key(
            duration("100ms", "1h"),
            "The wait for the answer to the end of a message.",
            "RFC 5321 s4.5.3.2.6: 10 minutes; a message that is sent again because the answer was"
            " late may come twice.",
        ),
    ] = parse_duration("10m")
    verify: Annotated[
        bool,
        Key(
            BOOLEAN,
            "Ask the next hop at RCPT whether it takes the recipient; not with mx:.",
            "SMTP has one answer for a whole message: a recipient that is refused only then"
            " would have it refused for all, or need a bounce.",
        ),
    ] = True
    verify_keep: Annotated[
        float,
        Key(
            duration("0s", "7d"),
            "How long it is believed that a recipient is taken.",
            "If it is wrong meanwhile, the next hop still says so at delivery.",
        ),
    ] = parse_duration("1h")
    verify_keep_refused: Annotated[
        float,
        Key(
            duration("0s", "7d"),
            "How long it is believed that a recipient is refused.",
            "Enough to spare the next hop a dictionary attack, too short for a new user to wait.",
        ),
    ] = parse_duration("1m")

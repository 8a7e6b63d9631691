"""The configuration schema: each key with its type, default, unit and reason.

This is the only declaration of a setting. The loader, `gatepost check` and docs/configuration.md
are made from it. Each field carries a `Key`: how to read the value, its effect, and the reason
for the default. Durations are seconds, sizes are octets. A program can also build the structs
itself; `load.check` then applies the same checks.

Limits: no value is unbounded. Every range has an upper end.
"""

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from gatepost.config import formats
from gatepost.config.client import ClientConfig
from gatepost.config.kinds import (
    BOOLEAN,
    ArrayKind,
    Key,
    TableKind,
    choice,
    duration,
    integer,
    size,
)
from gatepost.config.listen import InetAddress, ListenAddress
from gatepost.config.plugins import PluginConfig
from gatepost.config.quarantine import QuarantineConfig
from gatepost.config.relay import RELAY_FOR, RelayFor
from gatepost.config.tables import Http, Ldap, Redis, Sql
from gatepost.config.traps import TrapsConfig
from gatepost.config.units import parse_duration, parse_size
from gatepost.model.secret import Secret
from gatepost.wire.sasl.mechanism import MECHANISMS

TLS_VERSIONS = ("1.0", "1.1", "1.2", "1.3")


class ServerConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[server]`: the server process."""

    hostname: Annotated[
        str,
        Key(
            formats.HOSTNAME,
            "The server's name in the greeting, in Received and in Authentication-Results.",
            "Looking up the machine's own name can block for seconds and often returns a"
            " name that exists only on this machine. A name that is plainly local is better"
            " than a wrong one.",
        ),
    ] = "localhost"
    data_dir: Annotated[
        str,
        Key(
            formats.FOLDER,
            "The folder for the queue, indexes and other data. A relative path starts at"
            " the configuration's folder.",
        ),
    ] = "var"
    workers: Annotated[
        int,
        Key(
            integer(0, 1024),
            "Worker processes. 0 starts one per core.",
            "One process is easiest to reason about.",
        ),
    ] = 1
    user: Annotated[
        str,
        Key(
            formats.USER,
            "The user to switch to after binding the ports. Empty: do not switch.",
            "Under systemd and in containers the server already starts as the right user.",
        ),
    ] = ""
    stop_timeout: Annotated[
        float,
        Key(
            duration("0s", "1h"),
            "How long the server waits for open sessions when it stops, or when a reload"
            " replaces a worker.",
            "Long enough for nearly every message in progress. Service managers wait 90 seconds.",
        ),
    ] = parse_duration("30s")
    start_timeout: Annotated[
        float,
        Key(
            duration("1s", "1h"),
            "A worker that is not ready to accept connections after this time is killed. A start"
            " or a reload then fails.",
            "A plugin that hangs while it is loaded would leave a reload unfinished without any"
            " report. The index of a list with millions of entries takes a minute or two.",
        ),
    ] = parse_duration("5m")
    worker_timeout: Annotated[
        float,
        Key(
            duration("1s", "1h"),
            "A worker that makes no progress for this long is killed and replaced.",
            "A plugin that blocks the event loop for seconds blocks all other sessions of"
            " the worker.",
        ),
    ] = parse_duration("10s")


# The protocols in which a mail server asks for decisions: it delivers the mail itself.
ASKING = frozenset({"milter", "policy"})
# The addresses of this machine that no other host can reach.
LOOPBACK = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))


class ListenConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[[listen]]`: one listener."""

    name: Annotated[
        str,
        Key(
            formats.NAME_OF_OURS,
            "A name for `listen` of a [[plugin]]. Empty: none. Several listeners may share one.",
        ),
    ] = ""
    address: Annotated[
        ListenAddress,
        Key(
            formats.LISTEN_ADDRESS,
            "The address to listen on. Port 0 is any free port. `0.0.0.0` is every IPv4 address,"
            " `[::]` every IPv6 address and no IPv4 address; for both, write two [[listen]].",
            "Loopback is not reachable from a network. Ports from 1024 need no privileges.",
        ),
    ] = InetAddress("127.0.0.1", 2525)
    protocol: Annotated[
        Literal["smtp", "lmtp", "milter", "policy"],
        Key(choice("smtp", "lmtp", "milter", "policy"), "The protocol of this listener."),
    ] = "smtp"
    tls: Annotated[
        Literal["none", "starttls", "implicit"],
        Key(
            choice("none", "starttls", "implicit"),
            "none: no TLS. starttls: offer STARTTLS. implicit: TLS from the first octet.",
            "Without a certificate the server cannot offer TLS.",
        ),
    ] = "none"
    tls_minimum: Annotated[
        Literal["", "1.0", "1.1", "1.2", "1.3"],
        Key(
            choice("", *TLS_VERSIONS),
            "The lowest TLS version of this listener. Empty: tls.minimum.",
            "One listener for old printers and scanners leaves the others strict.",
        ),
    ] = ""
    proxy_from: Annotated[
        Sequence[IPv4Network | IPv6Network],
        Key(
            ArrayKind(formats.NETWORK),
            "Networks of proxies. Connections from them must start with a PROXY header,"
            " which replaces the client address.",
            "None by default. A trusted proxy can claim any client address.",
        ),
    ] = ()
    xclient_from: Annotated[
        Sequence[IPv4Network | IPv6Network],
        Key(
            ArrayKind(formats.NETWORK),
            "Networks of front-end hosts that may set the client's identity with XCLIENT.",
            "None by default. A host that may send XCLIENT can claim any client address.",
        ),
    ] = ()
    accept_from: Annotated[
        Sequence[IPv4Network | IPv6Network],
        Key(
            ArrayKind(formats.NETWORK),
            "Networks of the mail servers that may use this listener, for milter and policy."
            " Connections from other addresses are closed. A Unix socket has no addresses: the"
            " permissions of its file and its folder apply.",
            "This machine only. A mail server reports what its clients have done, and is believed.",
        ),
    ] = LOOPBACK
    auth: Annotated[
        bool,
        Key(
            BOOLEAN,
            "Offer AUTH on this listener. See [auth].",
            "Mail servers do not authenticate. Each listener with AUTH is one more place"
            " for password guessing.",
        ),
    ] = False
    add_missing_headers: Annotated[
        bool,
        Key(
            BOOLEAN,
            "Add Date and Message-ID to a message that lacks them, if the client has authenticated."
            " Mail of other clients is never changed.",
            "RFC 6409 s8.2 and s8.3. Devices and scripts send without these fields, and large"
            " mail providers refuse such mail.",
        ),
    ] = True


class CertificateConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One item of `certificates` in `[tls]`."""

    names: Annotated[
        Sequence[str],
        Key(
            ArrayKind(formats.CERTIFICATE_NAME),
            'The server names that use this certificate. "*" matches every name.',
        ),
    ] = ("*",)
    cert: Annotated[str, Key(formats.PATH, "The PEM file with the certificate and its chain.")]
    key: Annotated[str, Key(formats.PATH, "The PEM file with the private key.")]


class TlsConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[tls]`: certificates for listeners with TLS."""

    minimum: Annotated[
        Literal["1.0", "1.1", "1.2", "1.3"],
        Key(
            choice(*TLS_VERSIONS),
            "The lowest TLS version that listeners accept. Below 1.2, ciphers without forward"
            " secrecy and signatures with SHA-1 are accepted too.",
            "RFC 8996 forbids TLS 1.0 and 1.1. TLS 1.3 alone would send the mail of older servers"
            " in clear text.",
        ),
    ] = "1.2"

    certificates: Annotated[
        Sequence[CertificateConfig],
        Key(
            ArrayKind(TableKind(CertificateConfig)),
            "The certificates. The server presents the first one that matches the requested"
            ' server name, otherwise the first one for "*", otherwise the first one. Files'
            " are read again when they change.",
        ),
    ] = ()
    client_ca: Annotated[
        str,
        Key(
            formats.PATH_OR_NONE,
            "The PEM file with the CAs for client certificates. If set, the server requests"
            " a certificate and plugins can read it. A certificate from another CA ends the"
            " handshake. Empty: no request.",
            "Few mail servers present a client certificate, and any CA may have issued it.",
        ),
    ] = ""


class AuthConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[auth]`: users and mechanisms, for listeners with `auth`."""

    users: Annotated[
        str,
        Key(
            formats.PATH_OR_NONE,
            "The users file, written by `gatepost users`. It is read again when it changes."
            " Empty: only plugins check passwords.",
        ),
    ] = ""
    mechanisms: Annotated[
        Sequence[str],
        Key(
            ArrayKind(choice(*MECHANISMS)),
            "The mechanisms to offer, in this order. Mechanisms that cannot work are not offered.",
            "With PLAIN and LOGIN the server receives the password, with SCRAM it does not."
            " Nearly every client supports one of the three.",
        ),
    ] = MECHANISMS
    clear: Annotated[
        bool,
        Key(
            BOOLEAN,
            "Offer AUTH without TLS too.",
            "Anyone on the network path could read the password.",
        ),
    ] = False


class SmtpConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[smtp]`: strictness of the protocol."""

    strict_paths: Annotated[
        bool,
        Key(
            BOOLEAN,
            "Accept only addresses of RFC 5321 s4.1.2 in MAIL and RCPT: in angle brackets, no blank"
            " after the colon, no a..b, no underscore and no final dot in a domain, no address"
            " literals other than IPv4 and IPv6, and no `::` for a single group.",
            "Mail programs and mobile phone providers send such addresses, and Postfix accepts"
            " them.",
        ),
    ] = False
    bare_lf_from: Annotated[
        Sequence[IPv4Network | IPv6Network],
        Key(
            ArrayKind(formats.NETWORK),
            "Networks of clients whose content may have lines that end with a bare LF. They are"
            " changed to end with CRLF. Only CRLF.CRLF ends the content.",
            "None by default: a bare LF can hide a second message (SMTP smuggling). Some printers"
            " and scanners send it; list only their addresses, not those of mail servers.",
        ),
    ] = ()
    greeting_delay: Annotated[
        float,
        Key(
            duration("0s", "1m"),
            "The wait before the greeting. A client that sends first is refused with 554.",
            "Off, because every client would have to wait. A few seconds stop many spam"
            " programs, which send without reading the greeting, and stay far below the 5"
            " minutes of RFC 5321 s4.5.3.2.1.",
        ),
    ] = 0.0
    refusal_delay: Annotated[
        float,
        Key(
            duration("0s", "1m"),
            "The delay before each refusal of a message at DATA or after its content, by plugins"
            " and for traps alike. It replaces traps.delay and the delays of plugins there. It does"
            " not block the worker. 0s: these delays apply.",
            "With the same delay for all refusals, the time of a reply does not show that one of"
            " the recipients is a trap. It costs time for each message that is refused.",
        ),
    ] = 0.0
    unauthorised_pipelining: Annotated[
        Literal["refuse", "tolerate"],
        Key(
            choice("refuse", "tolerate"),
            "refuse: reply 554 and close if a client sends more data after a command that"
            " must end a group (EHLO, HELO, DATA, VRFY, EXPN, NOOP), or pipelines after"
            " HELO. tolerate: allow it.",
            "As Postfix since 3.9. RFC 2920 forbids it, such clients do not read replies,"
            " and content sent before 354 could be taken for commands.",
        ),
    ] = "refuse"


# How many times the limits of a network a /48 of IPv6 may have.
SITE_FACTOR = 4


class LimitsConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[limits]`: limits on the resources of a client. Sizes in octets, durations in seconds."""

    message_size: Annotated[
        int,
        Key(
            size("1", "1TiB"),
            "Content of one message.",
            "About the limit of large mail providers. RFC 5321 s4.5.3.1.7 requires at least"
            " 64 KiB.",
        ),
    ] = parse_size("25MiB")
    recipients: Annotated[
        int,
        Key(
            integer(1, 100_000),
            "Recipients of one message.",
            "The minimum that RFC 5321 s4.5.3.1.8 requires. Senders split longer lists.",
        ),
    ] = 100
    transactions: Annotated[
        int,
        Key(
            integer(1, 1_000_000),
            "Messages on one connection, then 421.",
            "A busy client reuses its connection, but has to reconnect at some point.",
        ),
    ] = 1000
    connections: Annotated[
        int,
        Key(
            integer(1, 1_000_000),
            "Concurrent connections per worker.",
            "Each can need three open files; at start the soft limit of open files is raised.",
        ),
    ] = 1000
    connections_per_ip: Annotated[
        int,
        Key(
            integer(1, 1_000_000),
            "Concurrent connections from one client address, over all workers.",
            "Postfix opens at most 20 to one destination. At this limit it takes 20 clients"
            " to fill a worker.",
        ),
    ] = 50
    connections_per_network: Annotated[
        int,
        Key(
            integer(1, 1_000_000),
            "The same limit for one network: a /24 of IPv4 or a /64 of IPv6. A /48 may have"
            " four times as much.",
            "Three times the limit for an address. Mail providers send from several"
            " neighbouring addresses, but the owner of a network must not get one share per"
            " address.",
        ),
    ] = 150
    connection_rate_per_ip: Annotated[
        int,
        Key(
            integer(1, 1_000_000),
            "New connections per minute from one client address, over all workers.",
            "Five per second. A busy client reuses its connections. mox has the same limit.",
        ),
    ] = 300
    connection_rate_per_network: Annotated[
        int,
        Key(
            integer(1, 1_000_000),
            "The same limit for one network: a /24 of IPv4 or a /64 of IPv6. A /48 may have"
            " four times as much.",
            "Three times the limit for an address, as for concurrent connections.",
        ),
    ] = 900
    exempt: Annotated[
        Sequence[IPv4Network | IPv6Network],
        Key(
            ArrayKind(formats.NETWORK),
            "Networks exempt from connections_per_*, connection_rate_per_*, auth_failures_per_ip"
            " and auth_failures_per_network.",
            "This machine only. All clients behind a local load balancer, tunnel or mail server"
            " share its address and would be refused together.",
        ),
    ] = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))
    command_timeout: Annotated[
        float,
        Key(
            duration("100ms", "1h"),
            "The wait for the next command, from the last reply to the end of the command"
            " line. Also the wait for a client to read its replies.",
            "RFC 5321 s4.5.3.2.7: at least 5 minutes.",
        ),
    ] = parse_duration("5m")
    handshake_timeout: Annotated[
        float,
        Key(
            duration("100ms", "1h"),
            "The whole TLS handshake.",
            "Two round trips and a certificate take seconds on the slowest line. The client"
            " is not yet identified, so this must be shorter than the wait for a command.",
        ),
    ] = parse_duration("30s")
    data_timeout: Annotated[
        float,
        Key(
            duration("100ms", "1h"),
            "How long a message may stay behind `min_data_rate`. Also the wait for the next"
            " piece of content.",
            "RFC 5321 s4.5.3.2.5 lets senders wait 3 minutes for a buffer, s4.5.3.2.6 10"
            " minutes for the final reply.",
        ),
    ] = parse_duration("10m")
    min_data_rate: Annotated[
        int,
        Key(
            integer(1, 1_000_000),
            "The minimum rate of content in octets per second, once `data_timeout` is used up.",
            "As Postfix's smtpd_min_data_rate. A tenth of an old modem, but too costly for"
            " an attacker that holds many slow connections.",
        ),
    ] = 500
    session_timeout: Annotated[
        float,
        Key(
            duration("1s", "7d"),
            "The maximum length of a session, from the greeting to its end.",
            "Long enough for 25 MiB at 2 KiB per second. It also bounds slow attacks that"
            " no other timeout covers.",
        ),
    ] = parse_duration("4h")
    proxy_timeout: Annotated[
        float,
        Key(
            duration("100ms", "1m"),
            "The wait for a PROXY header on connections that must send one.",
            "As Postfix's smtpd_upstream_proxy_timeout. A proxy is near and sends the"
            " header first.",
        ),
    ] = parse_duration("5s")
    hook_timeout: Annotated[
        float,
        Key(
            duration("10ms", "5m"),
            "The time that one plugin has at one hook, unless its [[plugin]] has a timeout.",
            "Clients wait 5 minutes for most replies (RFC 5321 s4.5.3.2). A tenth of that"
            " leaves time for several plugins.",
        ),
    ] = parse_duration("30s")
    command_line: Annotated[
        int,
        Key(
            size("512", "64KiB"),
            "One command line including CRLF.",
            "RFC 5321 s4.5.3.1.4 requires 512, plus the parameters of each extension"
            " (SMTPUTF8 addresses, AUTH, DSN's ORCPT). Postfix has the same limit.",
        ),
    ] = 2048
    errors: Annotated[
        int,
        Key(
            integer(1, 100_000),
            "Error replies on one connection, then 421.",
            "As Postfix's smtpd_hard_error_limit. A client with this many errors is guessing.",
        ),
    ] = 20
    soft_errors: Annotated[
        int,
        Key(
            integer(0, 100_000),
            "Error replies on one connection before the server delays each further error reply.",
            "As Postfix's smtpd_soft_error_limit: half of `errors`.",
        ),
    ] = 10
    error_delay: Annotated[
        float,
        Key(
            duration("0s", "1m"),
            "The delay of each of these error replies. It does not block the worker.",
            "As Postfix's smtpd_error_sleep_time. It slows address guessing to 1 per second.",
        ),
    ] = 1.0
    junk_commands: Annotated[
        int,
        Key(
            integer(1, 100_000),
            "Commands that do not belong to a message (NOOP, RSET, VRFY, HELO …) between"
            " two messages, then 421.",
            "As Postfix's smtpd_junk_command_limit. More than any monitoring probe or"
            " connection pool needs.",
        ),
    ] = 100
    auth_failures: Annotated[
        int,
        Key(
            integer(1, 100),
            "Failed AUTH attempts on one connection, then 421.",
            "Allows two typing mistakes.",
        ),
    ] = 3
    auth_failures_per_ip: Annotated[
        int,
        Key(
            integer(1, 1_000_000),
            "AUTH attempts without success from one client address within auth_window, then"
            " 454 until the window ends.",
            "Enough for one program with an old password and a few people behind one address.",
        ),
    ] = 20
    auth_failures_per_network: Annotated[
        int,
        Key(
            integer(1, 1_000_000),
            "The same limit for one network: a /24 of IPv4 or a /64 of IPv6. A /48 may have"
            " four times as much.",
            "Attackers that guess passwords often control a whole network.",
        ),
    ] = 60
    auth_window: Annotated[
        float,
        Key(
            duration("1s", "24h"),
            "How long AUTH attempts without success count.",
            "Long enough to make guessing hopeless: 20 in 10 minutes are 3,000 per day.",
        ),
    ] = parse_duration("10m")
    auth_checks: Annotated[
        int,
        Key(
            integer(1, 256),
            "Concurrent password checks per worker. Five times as many wait, further"
            " attempts get 454.",
            "Each check takes 64 MiB and, by design, about 50 milliseconds.",
        ),
    ] = 2
    memory_per_message: Annotated[
        int,
        Key(
            size("0", "1GiB"),
            "Content kept in memory. Longer content goes to a temporary file.",
            "Most messages are shorter and need no temporary file. 1,000 connections use at"
            " most 256 MiB.",
        ),
    ] = parse_size("256KiB")
    content_memory: Annotated[
        int,
        Key(
            size("1KiB", "1TiB"),
            "Content in memory of all incoming messages, per worker. Beyond it the largest"
            " messages move to files; until that is done MAIL gets 452.",
            "Half of the maximum of 1,000 connections. Senders try again later; a machine"
            " out of memory does not recover.",
        ),
    ] = parse_size("128MiB")
    content_files: Annotated[
        int,
        Key(
            size("1KiB", "1TiB"),
            "The same limit for content in temporary files.",
            "160 messages of maximum size. A full disk would stop everything else too.",
        ),
    ] = parse_size("4GiB")
    header_size: Annotated[
        int,
        Key(
            size("1KiB", "64MiB"),
            "The header block, if a plugin reads it.",
            "A few KiB are usual. The longest legitimate headers (ARC, long recipient"
            " lists) are far below this. A plugin that looks for a field reads all of the block"
            " while other clients wait: about 10 milliseconds for each MiB.",
        ),
    ] = parse_size("256KiB")
    hops: Annotated[
        int,
        Key(
            integer(1, 1000),
            "Received fields of one message, then 554 5.4.6.",
            "As Postfix's hopcount_limit. Legitimate mail has fewer than 20; a loop must end"
            " (RFC 5321 s6.3).",
        ),
    ] = 50


class RecipientsConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[recipients]`: the recipients that the server accepts mail for."""

    domains: Annotated[
        Sequence[str],
        Key(
            ArrayKind(formats.DOMAIN_OR_FILE),
            'Your domains. ".example.com" matches all subdomains, "file:NAME" is a list'
            ' with one domain per line. "*" is every domain, for tests: routes to other servers'
            " are then an error.",
            "None: every recipient is refused, so that the server cannot relay by accident.",
        ),
    ] = ()
    known: Annotated[
        Sequence[str],
        Key(
            ArrayKind(formats.KNOWN),
            'The addresses that exist. "file:NAME" is a list with one address per line;'
            ' "lmdb:NAME", "sql:NAME" and so on are tables. Empty: every address exists.',
            "Without a list only the next hop can check an address.",
        ),
    ] = ()
    subaddress: Annotated[
        str,
        Key(
            formats.SEPARATORS,
            "The characters before a tag. With +, user+tag is the mailbox user. With +-, user-tag"
            " is too: use it only if no mailbox has - in its name. As in Postfix, the first of the"
            " characters starts the tag. Empty: no tags.",
            "The usual separator (RFC 5233).",
        ),
    ] = "+"
    lookup_cache: Annotated[
        float,
        Key(
            duration("0s", "24h"),
            "How long the answer of a table, and of a plugin's on_lookup, is used again if it is"
            " positive. Other answers are used for at most 1 minute.",
            "A mailbox that was removed is refused some minutes later.",
        ),
    ] = parse_duration("5m")


class MaildirConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`maildir` of a `[[route]]`: folder and quota."""

    folder: Annotated[
        str,
        Key(
            formats.MAILDIR_FOLDER,
            "The Maildir++ folder that receives the mail, with a full stop before each"
            " part. Empty: the inbox.",
            "Every mail client shows the inbox.",
        ),
    ] = ""
    quota: Annotated[
        int,
        Key(
            size("0", "1TiB"),
            "The maximum size of one Maildir with all its folders. 0: no limit.",
            "The right size depends on your users.",
        ),
    ] = 0
    quota_messages: Annotated[
        int,
        Key(
            integer(0, 1_000_000_000),
            "The maximum number of messages in one Maildir with all its folders. 0: no limit.",
            "As for quota.",
        ),
    ] = 0


class PipeConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`pipe` of a `[[route]]`: how to run the program that receives the mail."""

    timeout: Annotated[
        float,
        Key(
            duration("100ms", "1h"),
            "The maximum time of one run. Then the program is killed and the mail deferred.",
            "The client waits for the program and gives up after 10 minutes (RFC 5321"
            " s4.5.3.2.6). Several recipients can mean several runs, one after the other.",
        ),
    ] = parse_duration("1m")
    concurrency: Annotated[
        int,
        Key(
            integer(1, 1000),
            "Concurrent runs per worker. Further runs wait.",
            "A program needs more memory than a session. A burst of mail must not exhaust"
            " the memory.",
        ),
    ] = 10
    line_ends: Annotated[
        Literal["lf", "crlf"],
        Key(
            choice("lf", "crlf"),
            "The line ends that a pipe: program reads.",
            "Programs on POSIX systems expect LF. SMTP uses CR LF.",
        ),
    ] = "lf"


class RouteConfig(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    rename={"for_": "for"},
):
    """`[[route]]`: the target of accepted mail; the first route that matches applies."""

    for_: Annotated[
        Sequence[str],
        Key(
            ArrayKind(formats.ROUTE_PATTERN),
            'The recipients: "*", a domain or an address. Empty: only those for which a plugin'
            " chooses the route by its name.",
        ),
    ] = ("*",)
    name: Annotated[
        str,
        Key(
            formats.NAME_OF_OURS,
            "The name by which plugins choose the route, for example junk.",
        ),
    ] = ""
    to: Annotated[
        str,
        Key(
            formats.TARGET,
            "The target. Relative paths start at the configuration's folder. {domain} and"
            " {local} stand for the recipient's domain and local part.",
        ),
    ]
    mode: Annotated[
        Literal["direct", "queue"],
        Key(
            choice("direct", "queue"),
            "direct: reply 250 when the target has stored the message. queue: reply 250"
            " when the spool has stored it.",
            "Without a queue no accepted message can be lost in it.",
        ),
    ] = "direct"
    fallback: Annotated[
        Literal["none", "queue"],
        Key(
            choice("none", "queue"),
            "If a direct target is unavailable: none replies 451 and the client tries"
            " again, queue spools the message and replies 250.",
            "The client has a queue too, and can notify its sender. But some clients give"
            " up earlier than this server would.",
        ),
    ] = "none"
    maildir: Annotated[
        MaildirConfig,
        Key(TableKind(MaildirConfig), "For maildir: folder and quota."),
    ] = MaildirConfig()
    pipe: Annotated[
        PipeConfig,
        Key(TableKind(PipeConfig), "For pipe:, qmail-queue: and sendmail: how to run the program."),
    ] = PipeConfig()
    relay_for: Annotated[
        RelayFor,
        Key(
            RELAY_FOR,
            "The clients that may send to foreign domains through this route: none, authenticated"
            " clients (AUTH), clients of your networks, or an array of both.",
            "Never an open relay. You must enable each relay route.",
        ),
    ] = RelayFor()
    client: Annotated[
        ClientConfig,
        Key(
            TableKind(ClientConfig),
            "For smtp:, smtps:, lmtp: and mx: how to connect to the next hop.",
        ),
    ] = ClientConfig()


class QueueConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[queue]`: mail that was accepted and is not yet delivered. Durations in seconds."""

    retry: Annotated[
        Sequence[float],
        Key(
            ArrayKind(duration("1s", "7d")),
            "The waits between delivery attempts. The last one repeats. Each wait varies"
            " randomly by up to 10 %.",
            "RFC 5321 s4.5.4.1 recommends at least 30 minutes in the long run, and shorter"
            " waits at first: most failures are a restart or greylisting.",
        ),
    ] = tuple(map(parse_duration, ("1m", "5m", "15m", "30m", "1h", "2h")))
    expire: Annotated[
        float,
        Key(
            duration("1m", "365d"),
            "The maximum age of a message. Then it bounces.",
            "RFC 5321 s4.5.4.1: at least 4 to 5 days, so that a host can be down over a weekend.",
        ),
    ] = parse_duration("5d")
    delay_notice: Annotated[
        float,
        Key(
            duration("0s", "365d"),
            "When to send a delay warning to the sender, once per message. 0s: never.",
            "As sendmail: half a working day. Only senders that may receive DSNs get the warning.",
        ),
    ] = parse_duration("4h")
    concurrency: Annotated[
        int,
        Key(
            integer(1, 10_000),
            "Concurrent deliveries per worker.",
            "As Postfix's default_process_limit: enough to keep many slow hosts busy.",
        ),
    ] = 100
    concurrency_per_destination: Annotated[
        int,
        Key(
            integer(1, 10_000),
            "Concurrent deliveries to one next hop, per worker.",
            "As Postfix's default_destination_concurrency_limit. Many hosts refuse more"
            " connections.",
        ),
    ] = 20
    spool_size: Annotated[
        int,
        Key(
            size("1MiB", "64TiB"),
            "The maximum size of a spool file. Each worker has one. Beyond it messages get 452.",
            "Days of mail for most servers, and less than a disk: a full queue must not"
            " fill the system's disk.",
        ),
    ] = parse_size("10GiB")


class DnsConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[dns]`: the resolver of `mx:` routes and of plugins."""

    servers: Annotated[
        Sequence[str],
        Key(
            ArrayKind(formats.NAME_SERVER),
            "The name servers, by IP address, with the port if it is not 53. Empty: those of the"
            " system.",
            "The system already has a resolver. Public resolvers are refused by many DNS lists.",
        ),
    ] = ()
    timeout: Annotated[
        float,
        Key(
            duration("100ms", "1m"),
            "Half of the time that the server waits for an answer. The question is repeated"
            " meanwhile.",
            "The time-out of most resolvers, which try twice. A client waits for several lookups.",
        ),
    ] = parse_duration("5s")
    cache_size: Annotated[
        int,
        Key(
            size("64KiB", "1GiB"),
            "The maximum size of the answers that a worker keeps in memory, for as long as their"
            " TTL allows. Beyond it the answer not used for longest is dropped.",
            "About 30,000 answers: those to the clients and senders of an hour on most servers.",
        ),
    ] = parse_size("16MiB")


# Outside of the class, in which `size` is a field.
_LEDGER_SIZE = size("16MiB", "1TiB")


class LedgerConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[ledger]`: the record of decisions and their reasons."""

    enabled: Annotated[
        bool,
        Key(
            BOOLEAN,
            "Whether connections, messages and deliveries are recorded in data_dir/ledger.",
            "Without records no refusal can be explained.",
        ),
    ] = True
    keep: Annotated[
        float,
        Key(
            duration("1h", "3650d"),
            "How long records are kept.",
            "Complaints arrive within weeks. Personal data should not be kept longer.",
        ),
    ] = parse_duration("30d")
    size: Annotated[
        int,
        Key(
            _LEDGER_SIZE,
            "The disk space that records may use. If they need more, the oldest are removed.",
            "A message has two or three records of about 600 octets: this is enough for two"
            " million.",
        ),
    ] = parse_size("4GiB")
    privacy: Annotated[
        Sequence[Literal["subject", "from", "message-id", "addresses"]],
        Key(
            ArrayKind(choice("subject", "from", "message-id", "addresses")),
            "What is not recorded: the Subject, the From field, the Message-ID. Of addresses, the"
            " local part is recorded as a hash; they are still found by the whole address.",
            "A complaint usually names the sender, the recipient and the subject.",
        ),
    ] = ()
    export: Annotated[
        str,
        Key(
            formats.EXPORT,
            "Where records are also written, one JSON object per line: jsonl:PATH appends to a"
            " file, unix:PATH sends to a Unix socket.",
        ),
    ] = ""


_WEBHOOK_EVENTS = (
    *("accepted", "refused", "deferred", "abandoned", "trap"),
    *("delivered", "bounced", "held", "notice"),
)


class WebhookConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[[webhook]]`: records that are sent to a URL."""

    url: Annotated[
        Secret,
        Key(formats.WEBHOOK_URL, "The receiver of the records. docs/webhooks.md describes it."),
    ]
    events: Annotated[
        Sequence[str],
        Key(
            ArrayKind(choice(*_WEBHOOK_EVENTS)),
            "The records that are sent: those with one of these results. trap: transactions with a"
            " trap. notice: events of the server.",
        ),
    ]
    secret_file: Annotated[
        str, Key(formats.PATH, "The file with the secret that signs the requests, on one line.")
    ]


class MetricsConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[metrics]`: figures for Prometheus, and the health check."""

    listen: Annotated[
        str,
        Key(
            formats.METRICS_LISTEN,
            'The address for HTTP, such as "127.0.0.1:9925"; "" is none. /metrics has the figures,'
            " /health the state.",
            "The figures reveal who sends mail, so no other machine may read them unasked.",
        ),
    ] = ""


class WebConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[web]`: the dashboard, for web browsers."""

    listen: Annotated[
        str,
        Key(
            formats.WEB_LISTEN,
            'The address for HTTP, such as "127.0.0.1:8025" or "unix:var/web.sock"; "" is none.',
            "The pages show senders and recipients. Each address is one more place for password"
            " guessing.",
        ),
    ] = ""
    tls: Annotated[
        bool,
        Key(
            BOOLEAN,
            "Serve HTTPS with tls.certificates, instead of HTTP.",
            "A browser on this machine, or behind an SSH tunnel or a reverse proxy, needs none.",
        ),
    ] = False
    session: Annotated[
        float,
        Key(
            duration("1m", "30d"),
            "How long a login lasts.",
            "A working day. A browser that is left open must not stay logged in for ever.",
        ),
    ] = parse_duration("12h")
    proxy_from: Annotated[
        Sequence[IPv4Network | IPv6Network],
        Key(
            ArrayKind(formats.NETWORK),
            "Networks of reverse proxies. Their X-Forwarded-For, X-Forwarded-Proto and user_header"
            " are believed. On a Unix socket every client is a proxy.",
            "None by default. A trusted proxy can claim any client address and any user.",
        ),
    ] = ()
    user_header: Annotated[
        str,
        Key(
            formats.FIELD_NAME_OR_NONE,
            "The header field in which a reverse proxy passes the name of the user that it has"
            " authenticated. The user must be one of `gatepost web users`. Empty: none.",
            "A proxy that does not remove this field from requests lets clients choose their name.",
        ),
    ] = ""
    public_status: Annotated[
        bool,
        Key(
            BOOLEAN,
            "Serve /status.json, which has no addresses, without a login.",
            "The size of the queue is for administrators, unless a status page needs it.",
        ),
    ] = False


class StoreConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[store]`: small state that plugins share. Durations in seconds."""

    url: Annotated[
        Secret,
        Key(
            formats.STORE_URL,
            "local: a SQLite file in data_dir, for all workers of this machine. memory: each worker"
            " alone. redis://, rediss:// and unix://: a Redis or Valkey server, for several"
            " machines. docs/store.md describes the URLs.",
            "One machine needs no other server.",
        ),
    ] = Secret("local")
    prefix: Annotated[
        str,
        Key(
            formats.STORE_PREFIX,
            "The start of every key on a Redis server.",
            "Other programs may use the same server.",
        ),
    ] = "gatepost:"
    timeout: Annotated[
        float,
        Key(
            duration("10ms", "1s"),
            "How long a plugin waits for the store, at most. After several failures it does not"
            " wait at all for two seconds.",
            "A reply takes about a millisecond. Every session waits when a server hangs.",
        ),
    ] = parse_duration("250ms")


class LogConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[log]`: the log, on standard error or in a file."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Key(choice("debug", "info", "warning", "error"), "The lowest level that is logged."),
    ] = "info"
    format: Annotated[
        Literal["auto", "json", "text"],
        Key(
            choice("auto", "json", "text"),
            "json: one object per line, for log collectors. text: for people. auto: short, coloured"
            " lines if standard error is a terminal, JSON otherwise.",
        ),
    ] = "auto"
    file: Annotated[
        str,
        Key(
            formats.PATH_OR_NONE,
            "The file of the log, which is opened again after its rotation. Empty: standard error.",
            "The journal of systemd and containers store standard error, and limit its size.",
        ),
    ] = ""


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """The whole configuration.

    `base` is the folder that relative paths start at: the folder of the file, or the current folder
    for a configuration built in code. `source` is the file, for error messages.
    """

    server: Annotated[ServerConfig, Key(TableKind(ServerConfig), "The server process.")] = (
        ServerConfig()
    )
    listen: Annotated[
        Sequence[ListenConfig],
        Key(ArrayKind(TableKind(ListenConfig)), "The listeners."),
    ] = (ListenConfig(),)
    tls: Annotated[TlsConfig, Key(TableKind(TlsConfig), "TLS certificates.")] = TlsConfig()
    auth: Annotated[AuthConfig, Key(TableKind(AuthConfig), "Users and AUTH mechanisms.")] = (
        AuthConfig()
    )
    smtp: Annotated[SmtpConfig, Key(TableKind(SmtpConfig), "Strictness of the protocol.")] = (
        SmtpConfig()
    )
    limits: Annotated[
        LimitsConfig,
        Key(TableKind(LimitsConfig), "Limits on the resources of a client. Sizes are octets."),
    ] = LimitsConfig()
    recipients: Annotated[
        RecipientsConfig,
        Key(TableKind(RecipientsConfig), "The recipients that the server accepts mail for."),
    ] = RecipientsConfig()
    traps: Annotated[TrapsConfig, Key(TableKind(TrapsConfig), "Spam traps.")] = TrapsConfig()
    route: Annotated[
        Sequence[RouteConfig],
        Key(
            ArrayKind(TableKind(RouteConfig)),
            "The routes of accepted mail. The first route that matches a recipient applies.",
        ),
    ] = ()
    queue: Annotated[QueueConfig, Key(TableKind(QueueConfig), "The queue of accepted mail.")] = (
        QueueConfig()
    )
    quarantine: Annotated[
        QuarantineConfig,
        Key(TableKind(QuarantineConfig), "Messages that are held for an administrator."),
    ] = QuarantineConfig()
    plugin: Annotated[
        Sequence[PluginConfig],
        Key(
            ArrayKind(TableKind(PluginConfig)),
            "The plugins. Their order here is the order of their calls.",
        ),
    ] = ()
    dns: Annotated[
        DnsConfig, Key(TableKind(DnsConfig), "The resolver of `mx:` routes and of plugins.")
    ] = DnsConfig()
    ledger: Annotated[
        LedgerConfig, Key(TableKind(LedgerConfig), "The record of decisions and their reasons.")
    ] = LedgerConfig()
    webhook: Annotated[
        Sequence[WebhookConfig],
        Key(ArrayKind(TableKind(WebhookConfig)), "Records that are sent to URLs."),
    ] = ()
    metrics: Annotated[
        MetricsConfig,
        Key(TableKind(MetricsConfig), "Figures for Prometheus, and the health check."),
    ] = MetricsConfig()
    web: Annotated[WebConfig, Key(TableKind(WebConfig), "The dashboard, for web browsers.")] = (
        WebConfig()
    )
    store: Annotated[StoreConfig, Key(TableKind(StoreConfig), "The state that plugins share.")] = (
        StoreConfig()
    )
    log: Annotated[LogConfig, Key(TableKind(LogConfig), "The log.")] = LogConfig()
    sql: Sql = msgspec.field(default_factory=dict)
    ldap: Ldap = msgspec.field(default_factory=dict)
    redis: Redis = msgspec.field(default_factory=dict)
    http: Http = msgspec.field(default_factory=dict)
    base: Path = Path()
    source: str = "configuration"

    def path(self, name: str) -> Path:
        """Return the path of a file that the configuration names."""
        return self.base / name

    @property
    def data_dir(self) -> Path:
        """The folder for the queue, indexes and other data."""
        return self.path(self.server.data_dir)

    @property
    def log_file(self) -> Path | None:
        """The file of the log, None for standard error."""
        return self.path(self.log.file).absolute() if self.log.file else None

    def sources(self, items: Sequence[str]) -> tuple[list[str], list[Path]]:
        """Split entries such as those of `domains` into inline ones and paths of list files."""
        prefix = formats.FILE_PREFIX
        inline = [item for item in items if not item.startswith(prefix)]
        files = [self.path(item.removeprefix(prefix)) for item in items if item.startswith(prefix)]
        return inline, files

    @property
    def known_sources(self) -> tuple[list[str], list[Path]]:
        """The inline entries and the list files of `known`, without its tables."""
        return self.sources([one for one in self.recipients.known if not formats.is_table(one)])

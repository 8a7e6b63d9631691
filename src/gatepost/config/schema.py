"""Everything that can be configured: each key with its type, default, unit and reason.

What it is for: the one place a setting is declared; the loader, the checks and the reference are
made from it. Each field carries a `Key`: how it is read, what it does, why its default is what it
is. Durations are seconds, sizes octets. The structs can also be built in code – `load.check`
then applies the same checks.

Limits: none of these values may be unbounded; every range has an upper end.
"""

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from gatepost.config import formats
from gatepost.config.client import Client
from gatepost.config.kinds import (
    BOOLEAN,
    Anything,
    Items,
    Key,
    Table,
    duration,
    one_of,
    size,
    whole,
)
from gatepost.config.listen import InetAddress, ListenAddress
from gatepost.config.units import parse_duration, parse_size
from gatepost.model.reply import Reply
from gatepost.wire.sasl.mechanism import MECHANISMS


class Server(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[server]`: the process as a whole."""

    hostname: Annotated[
        str,
        Key(
            formats.HOSTNAME,
            "The name in the greeting, in Received and in Authentication-Results.",
            "Looking up the machine's own name can block for seconds and often gives a name"
            " nobody else knows; a name that is plainly local is better than a wrong one.",
        ),
    ] = "localhost"
    data_dir: Annotated[
        str,
        Key(formats.FOLDER, "The folder for what is written; relative to the configuration's."),
    ] = "var"
    workers: Annotated[
        int,
        Key(
            whole(0, 1024),
            "Worker processes; 0 is one per core.",
            "One is easiest to reason of.",
        ),
    ] = 1
    user: Annotated[
        str,
        Key(
            formats.USER,
            "The user to become once the ports are bound; empty: stay who we are.",
            "A test or a container starts as the right user already.",
        ),
    ] = ""
    stop_timeout: Annotated[
        float,
        Key(
            duration("0s", "1h"),
            "How long a stop, or a worker that a reload replaces, waits for sessions.",
            "Long enough for nearly every message under way; service managers wait 90 seconds.",
        ),
    ] = parse_duration("30s")
    worker_timeout: Annotated[
        float,
        Key(
            duration("1s", "1h"),
            "A worker whose event loop does not answer for so long is killed and replaced.",
            "A plugin that blocks the loop for seconds stops all other sessions with it.",
        ),
    ] = parse_duration("10s")


class Listen(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[[listen]]`: one place where connections are taken."""

    address: Annotated[
        ListenAddress,
        Key(
            formats.LISTEN_ADDRESS,
            "Where to listen; port 0 is any free port.",
            "Loopback opens nothing to a network unasked; ports from 1024 on need no privilege.",
        ),
    ] = InetAddress("127.0.0.1", 2525)
    protocol: Annotated[
        Literal["smtp", "lmtp", "milter", "policy"],
        Key(one_of("smtp", "lmtp", "milter", "policy"), "The protocol spoken there."),
    ] = "smtp"
    tls: Annotated[
        Literal["none", "starttls", "implicit"],
        Key(
            one_of("none", "starttls", "implicit"),
            "Whether TLS is absent, offered, or starts with the connection.",
            "Without a certificate there is nothing to offer.",
        ),
    ] = "none"
    proxy_from: Annotated[
        Sequence[IPv4Network | IPv6Network],
        Key(
            Items(formats.NETWORK),
            "Networks whose PROXY header is believed, and required.",
            "Whoever may send the header may claim any client address: nobody, unasked.",
        ),
    ] = ()
    xclient_from: Annotated[
        Sequence[IPv4Network | IPv6Network],
        Key(
            Items(formats.NETWORK),
            "Networks of hosts in front that may say with XCLIENT who the client is.",
            "Whoever may send the command may claim any client address: nobody, unasked.",
        ),
    ] = ()
    auth: Annotated[
        bool,
        Key(
            BOOLEAN,
            "Whether clients may say who they are (AUTH), see [auth].",
            "Mail servers have no name to give; each listener where passwords can be tried is"
            " one more to watch.",
        ),
    ] = False


class Certificate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One entry of `certificates` in `[tls]`."""

    names: Annotated[
        Sequence[str],
        Key(Items(formats.CERTIFICATE_NAME), 'The server names it is shown for; "*" is any.'),
    ] = ("*",)
    cert: Annotated[str, Key(formats.PATH, "The PEM file of the certificate and its chain.")]
    key: Annotated[str, Key(formats.PATH, "The PEM file of the private key.")]


class Tls(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[tls]`: what is needed for listeners with TLS."""

    certificates: Annotated[
        Sequence[Certificate],
        Key(
            Items(Table(Certificate)),
            "Certificates; the first whose names match what the client asks for is shown, if none"
            ' does the first for "*", else the first. Read again when a file changes.',
        ),
    ] = ()
    client_ca: Annotated[
        str,
        Key(
            formats.PATH_OR_NONE,
            "The PEM file of who vouches for clients: they are asked for a certificate, which"
            " plugins see; one of somebody else's ends the handshake. Empty: not asked.",
            "Hardly a mail server has one, and those that do have it from anybody.",
        ),
    ] = ""


class Auth(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[auth]`: who the users are, for listeners with `auth`."""

    users: Annotated[
        str,
        Key(
            formats.PATH_OR_NONE,
            "The file of users, which `gatepost users` writes. Read again when it changes. Empty:"
            " only plugins know any.",
        ),
    ] = ""
    mechanisms: Annotated[
        Sequence[str],
        Key(
            Items(one_of(*MECHANISMS)),
            "What may be offered, in this order; what cannot work is left out.",
            "With PLAIN and LOGIN the server sees the password, with SCRAM it does not; hardly a"
            " client is without one of them.",
        ),
    ] = MECHANISMS
    clear: Annotated[
        bool,
        Key(
            BOOLEAN,
            "Whether AUTH is offered without TLS, too.",
            "Whoever listens on the way has the password then.",
        ),
    ] = False


class Smtp(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[smtp]`: how strictly the protocol is read."""

    lenient_paths: Annotated[
        bool,
        Key(
            BOOLEAN,
            "Also take MAIL FROM:a@b and RCPT TO:a@b without angle brackets.",
            "RFC 5321 s4.1.2 requires them; senders without are rare, and mostly spam.",
        ),
    ] = False
    greeting_delay: Annotated[
        float,
        Key(
            duration("0s", "1m"),
            "The wait before the greeting; who speaks first is refused with 554.",
            "0: every sender would wait; a few seconds keep many spam programs away, which never"
            " look at the greeting, and stay well inside the 5 minutes of RFC 5321 s4.5.3.2.1.",
        ),
    ] = 0.0
    unauthorised_pipelining: Annotated[
        Literal["refuse", "tolerate"],
        Key(
            one_of("refuse", "tolerate"),
            "What is done with clients that send more behind a command that has to be the last of"
            " a group (EHLO, HELO, DATA, VRFY, EXPN, NOOP), or anything ahead after HELO: 554 and"
            " the connection is closed, or nothing.",
            "As Postfix since 3.9: RFC 2920 forbids it, whoever does so does not read replies, and"
            " content sent before 354 could be taken for commands.",
        ),
    ] = "refuse"


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[limits]`: how much a client may use. Sizes in octets, durations in seconds."""

    message_size: Annotated[
        int,
        Key(
            size("1", "1TiB"),
            "Content of one message.",
            "About what large mail providers take; RFC 5321 s4.5.3.1.7 asks for 64 KiB or more.",
        ),
    ] = parse_size("25MiB")
    recipients: Annotated[
        int,
        Key(
            whole(1, 100_000),
            "Recipients of one message.",
            "The least RFC 5321 s4.5.3.1.8 allows; senders split longer lists by themselves.",
        ),
    ] = 100
    transactions: Annotated[
        int,
        Key(
            whole(1, 1_000_000),
            "Messages on one connection, then 421.",
            "A busy sender reuses its connection, but must give it up some time.",
        ),
    ] = 1000
    connections: Annotated[
        int,
        Key(
            whole(1, 1_000_000),
            "Connections at a time, per worker.",
            "About the file descriptors a process may open unless told otherwise (1024).",
        ),
    ] = 1000
    connections_per_ip: Annotated[
        int,
        Key(
            whole(1, 1_000_000),
            "Connections at a time from one client address, over all workers.",
            "Postfix opens at most 20 to one destination; it takes 20 clients to fill a worker.",
        ),
    ] = 50
    connections_per_network: Annotated[
        int,
        Key(
            whole(1, 1_000_000),
            "The same from one network: a /24 of IPv4, a /64 of IPv6.",
            "Three addresses' worth: mail providers send from several neighbours, and whoever has"
            " a whole network should not have a place for each of its addresses.",
        ),
    ] = 150
    connection_rate_per_ip: Annotated[
        int,
        Key(
            whole(1, 1_000_000),
            "New connections in a minute from one client address, over all workers.",
            "Five a second: a busy sender reuses its connections, and mox allows as many.",
        ),
    ] = 300
    connection_rate_per_network: Annotated[
        int,
        Key(
            whole(1, 1_000_000),
            "The same from one network: a /24 of IPv4, a /64 of IPv6.",
            "Three addresses' worth, as for connections at a time.",
        ),
    ] = 900
    exempt: Annotated[
        Sequence[IPv4Network | IPv6Network],
        Key(
            Items(formats.NETWORK),
            "Networks whose connections are not counted by these four limits, and attempts of AUTH"
            " not by auth_failures_per_ip and auth_failures_per_network.",
            "This machine: behind a balancer, a tunnel or a mail server here everybody has its"
            " address, and would be refused with everybody else.",
        ),
    ] = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))
    command_timeout: Annotated[
        float,
        Key(
            duration("100ms", "1h"),
            "The wait for the next command, from the last reply to the end of its line; also for a"
            " client to take its replies.",
            "RFC 5321 s4.5.3.2.7: at least 5 minutes.",
        ),
    ] = parse_duration("5m")
    handshake_timeout: Annotated[
        float,
        Key(
            duration("100ms", "1h"),
            "The whole TLS handshake.",
            "Two round trips and a certificate: seconds on the slowest line. Nobody is known"
            " before it is done, so it must not be as patient as the wait for a command.",
        ),
    ] = parse_duration("30s")
    data_timeout: Annotated[
        float,
        Key(
            duration("100ms", "1h"),
            "The time a message may fall behind `min_data_rate`; so also the wait for its next"
            " piece.",
            "RFC 5321 s4.5.3.2.5 has senders wait 3 minutes for a buffer, s4.5.3.2.6 10 minutes"
            " for the end: slow, but alive.",
        ),
    ] = parse_duration("10m")
    min_data_rate: Annotated[
        int,
        Key(
            whole(1, 1_000_000),
            "Octets a second a message has to come with, once `data_timeout` is used up.",
            "As Postfix's smtpd_min_data_rate: a tenth of an old modem, and still too much for"
            " whoever would hold many places at little cost.",
        ),
    ] = 500
    session_timeout: Annotated[
        float,
        Key(
            duration("1s", "7d"),
            "A session from the greeting to its end, whatever it does.",
            "Long enough for a message of 25 MiB at 2 KiB a second; nobody needs a connection for"
            " longer, and no way of being slow that is not thought of holds one for ever.",
        ),
    ] = parse_duration("4h")
    proxy_timeout: Annotated[
        float,
        Key(
            duration("100ms", "1m"),
            "The wait for a PROXY header, from those that must send one.",
            "As Postfix's smtpd_upstream_proxy_timeout: a proxy is near and sends it first of all.",
        ),
    ] = parse_duration("5s")
    hook_timeout: Annotated[
        float,
        Key(
            duration("10ms", "5m"),
            "All plugins together for one hook.",
            "Senders wait 5 minutes for most replies (RFC 5321 s4.5.3.2); a tenth of that leaves"
            " room for each hook of a pipelined transaction.",
        ),
    ] = parse_duration("30s")
    command_line: Annotated[
        int,
        Key(
            size("512", "64KiB"),
            "One command line with its CRLF.",
            "RFC 5321 s4.5.3.1.4: 512, made longer by each extension's parameters (SMTPUTF8"
            " addresses, AUTH, DSN's ORCPT); Postfix takes 2048 too.",
        ),
    ] = 2048
    errors: Annotated[
        int,
        Key(
            whole(1, 100_000),
            "Error replies on one connection, then 421.",
            "As Postfix's smtpd_hard_error_limit: a client that errs this often is guessing.",
        ),
    ] = 20
    soft_errors: Annotated[
        int,
        Key(
            whole(0, 100_000),
            "Error replies on one connection before each further one is held back.",
            "As Postfix's smtpd_soft_error_limit: half of `errors`.",
        ),
    ] = 10
    error_delay: Annotated[
        float,
        Key(
            duration("0s", "1m"),
            "How long each is held back then; costs no worker.",
            "As Postfix's smtpd_error_sleep_time: who tries addresses out gets 1 a second.",
        ),
    ] = 1.0
    junk_commands: Annotated[
        int,
        Key(
            whole(1, 100_000),
            "Commands without a message between (NOOP, RSET, VRFY, HELO …), then 421.",
            "As Postfix's smtpd_junk_command_limit: more than any probe or pool needs.",
        ),
    ] = 100
    auth_failures: Annotated[
        int,
        Key(
            whole(1, 100),
            "Failed AUTH attempts on one connection, then 421.",
            "One slip of the finger, and one more.",
        ),
    ] = 3
    auth_failures_per_ip: Annotated[
        int,
        Key(
            whole(1, 1_000_000),
            "AUTH attempts without success from one client address within auth_window, then 454"
            " until it has passed.",
            "A program with an old password, and a few people behind one address.",
        ),
    ] = 20
    auth_failures_per_network: Annotated[
        int,
        Key(
            whole(1, 1_000_000),
            "The same for a whole network: /24 of IPv4, /64 of IPv6.",
            "Whoever tries passwords often has a whole one.",
        ),
    ] = 60
    auth_window: Annotated[
        float,
        Key(
            duration("1s", "24h"),
            "How long AUTH attempts without success are counted.",
            "Long enough to make guessing hopeless: 20 in 10 minutes are 3,000 a day.",
        ),
    ] = parse_duration("10m")
    auth_checks: Annotated[
        int,
        Key(
            whole(1, 256),
            "Passwords checked at a time, per worker; a few more wait, beyond that it is 454.",
            "Each takes 64 MiB and, by intent, some 50 milliseconds.",
        ),
    ] = 2
    memory_per_message: Annotated[
        int,
        Key(
            size("0", "1GiB"),
            "Content kept in memory; what is longer goes to a file.",
            "Most mail is shorter and never touches a disk twice; 1,000 connections use 256 MiB.",
        ),
    ] = parse_size("256KiB")
    content_memory: Annotated[
        int,
        Key(
            size("1KiB", "1TiB"),
            "Content in memory of all messages that come in, per worker; beyond it MAIL is 452.",
            "Half of what 1,000 connections could hold: senders come back, a machine without memory"
            " does not.",
        ),
    ] = parse_size("128MiB")
    content_files: Annotated[
        int,
        Key(
            size("1KiB", "1TiB"),
            "The same for content in temporary files.",
            "160 of the longest messages at a time; a full disk stops everything else, too.",
        ),
    ] = parse_size("4GiB")
    header_size: Annotated[
        int,
        Key(
            size("1KiB", "64MiB"),
            "The header block, where a plugin reads it.",
            "A few KiB are usual, the longest legitimate ones (ARC, long recipient lists) stay"
            " well below.",
        ),
    ] = parse_size("256KiB")


class Recipients(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[recipients]`: whose mail is taken."""

    domains: Annotated[
        Sequence[str],
        Key(
            Items(formats.DOMAIN_OR_FILE),
            'Our domains; ".example.com" is all below it, "file:NAME" a list with one a line.',
            "None: everything is refused, so that nothing is relayed by accident.",
        ),
    ] = ()
    known: Annotated[
        Sequence[str],
        Key(
            Items(formats.ADDRESS_OR_FILE),
            'The addresses that exist; "file:NAME" is a list with one a line. Empty: all do.',
            "Only the next hop knows until it is told here.",
        ),
    ] = ()
    subaddress: Annotated[
        str,
        Key(
            formats.SEPARATOR,
            "The character before a tag: with + user+tag is user; empty: there are no tags.",
            "What most mail servers use (RFC 5233).",
        ),
    ] = "+"


class Traps(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[traps]`: addresses nobody may write to, and what happens to whoever does."""

    lists: Annotated[
        Sequence[str],
        Key(Items(formats.PATH), "Files of trap addresses: address, @domain or /regex/ a line."),
    ] = ()
    action: Annotated[
        Literal["refuse", "shadow"],
        Key(
            one_of("refuse", "shadow"),
            "refuse: a message with a trap among its recipients is refused for all of them."
            " shadow: it passes and is logged as one that would have been.",
        ),
    ] = "refuse"
    delay: Annotated[
        float,
        Key(
            duration("0s", "1m"),
            "The wait before the refusal is sent; costs no worker.",
            "Slows a list washer down; well inside the 2 minutes a sender waits for the answer"
            " to DATA (RFC 5321 s4.5.3.2.4).",
        ),
    ] = 1.0
    reply: Annotated[
        Reply,
        Key(
            formats.REFUSAL,
            "The refusal.",
            "Permanent, so that nothing is sent again; does not say which recipient was it.",
        ),
    ] = Reply(554, "Message refused by local policy", "5.7.1")


class Maildir(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`maildir` of a `[[route]]`: how a Maildir is filled."""

    folder: Annotated[
        str,
        Key(
            formats.MAILDIR_FOLDER,
            "The folder inside each Maildir that mail goes to, as Maildir++ names it: a full stop"
            " before each part; empty: the inbox.",
            "Where every mail reader looks.",
        ),
    ] = ""
    quota: Annotated[
        int,
        Key(
            size("0", "1TiB"),
            "What one Maildir may hold with all its folders; 0: as much as the disk.",
            "How much a mailbox is worth, only its owner knows.",
        ),
    ] = 0
    quota_messages: Annotated[
        int,
        Key(
            whole(0, 1_000_000_000),
            "How many messages one Maildir may hold with all its folders; 0: any number.",
            "As for quota.",
        ),
    ] = 0


class Pipe(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`pipe` of a `[[route]]`: how the program that takes the mail is run."""

    timeout: Annotated[
        float,
        Key(
            duration("100ms", "1h"),
            "How long one run may take, then it is killed and the mail deferred.",
            "The client waits as long, and gives up after 10 minutes (RFC 5321 s4.5.3.2.6), with"
            " the runs for several recipients one after the other.",
        ),
    ] = parse_duration("1m")
    concurrency: Annotated[
        int,
        Key(
            whole(1, 1000),
            "Runs at a time, per worker; others wait.",
            "Programs are bigger than sessions: a burst of mail must not fill the memory.",
        ),
    ] = 10
    line_ends: Annotated[
        Literal["lf", "crlf"],
        Key(
            one_of("lf", "crlf"),
            "How the lines a pipe: program reads end.",
            "What programs on POSIX systems expect of a text; CR LF is how mail travels.",
        ),
    ] = "lf"


class Route(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    rename={"for_": "for"},
):
    """`[[route]]`: where accepted mail goes; the first that matches a recipient is taken."""

    for_: Annotated[
        Sequence[str],
        Key(Items(formats.ROUTE_PATTERN), 'The recipients: "*", a domain or an address.'),
    ] = ("*",)
    to: Annotated[
        str,
        Key(
            formats.TARGET,
            "The target; relative paths start at the configuration's folder, {domain} and"
            " {local} stand for the recipient's.",
        ),
    ]
    mode: Annotated[
        Literal["direct", "queue"],
        Key(
            one_of("direct", "queue"),
            "direct: 250 when the target has the message; queue: when the spool has it.",
            "Nothing can be lost in a queue that does not exist.",
        ),
    ] = "direct"
    fallback: Annotated[
        Literal["none", "queue"],
        Key(
            one_of("none", "queue"),
            "Where a direct target cannot be reached: none: 451, the client tries again; queue:"
            " 250 when the spool has it.",
            "The client has a queue as well, and a sender who can be told; but some clients give up"
            " sooner than we would.",
        ),
    ] = "none"
    maildir: Annotated[
        Maildir, Key(Table(Maildir), "For maildir: which folder of it, and how much it may hold.")
    ] = Maildir()
    pipe: Annotated[
        Pipe, Key(Table(Pipe), "For pipe:, qmail-queue: and sendmail: how the program is run.")
    ] = Pipe()
    relay_for: Annotated[
        Literal["nobody", "authenticated"],
        Key(
            one_of("nobody", "authenticated"),
            "Who may send to other domains than ours by this route: nobody, or clients that have"
            " said who they are (AUTH).",
            "Never an open relay: each way out of the house is written down.",
        ),
    ] = "nobody"
    client: Annotated[
        Client,
        Key(Table(Client), "How to speak to the next hop of smtp:, smtps:, lmtp: and mx:."),
    ] = Client()


class Queue(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[queue]`: mail that was answered 250 and is not delivered yet. Durations in seconds."""

    retry: Annotated[
        Sequence[float],
        Key(
            Items(duration("1s", "7d")),
            "The waits after each attempt that failed; the last one is repeated. One in ten more or"
            " less, by chance.",
            "RFC 5321 s4.5.4.1 wants half an hour or more in the long run, and sooner at first:"
            " most failures are a restart or greylisting.",
        ),
    ] = tuple(map(parse_duration, ("1m", "5m", "15m", "30m", "1h", "2h")))
    expire: Annotated[
        float,
        Key(
            duration("1m", "365d"),
            "When a message that came now is given up.",
            "RFC 5321 s4.5.4.1: at least 4 to 5 days, so that a host may be away over a weekend.",
        ),
    ] = parse_duration("5d")
    delay_notice: Annotated[
        float,
        Key(
            duration("0s", "365d"),
            "After how long its sender is told, once, that a message is late; 0s is never.",
            "As sendmail: half a working day. Only those who may have notices at all are told.",
        ),
    ] = parse_duration("4h")
    concurrency: Annotated[
        int,
        Key(
            whole(1, 10_000),
            "Deliveries at a time, per worker.",
            "As Postfix's default_process_limit: enough to keep many slow hosts busy.",
        ),
    ] = 100
    concurrency_per_destination: Annotated[
        int,
        Key(
            whole(1, 10_000),
            "Of these, to one next hop.",
            "As Postfix's default_destination_concurrency_limit: hosts refuse more.",
        ),
    ] = 20
    spool_size: Annotated[
        int,
        Key(
            size("1MiB", "64TiB"),
            "One spool file, of which each worker has one; then mail is answered 452.",
            "Days of mail for most, and less than a disk: what fills it up must not fill the"
            " system's.",
        ),
    ] = parse_size("10GiB")


class PluginUse(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[[plugin]]`: one plugin to run; they are asked in the order written."""

    use: Annotated[str, Key(formats.PLUGIN, "A shipped or installed plugin's name, or a .py file.")]
    options: Annotated[
        Mapping[str, Any],
        Key(Anything(), "The plugin's own options; the plugin says which there are."),
    ] = msgspec.field(default_factory=dict)
    on_error: Annotated[
        Literal["defer", "skip", "deny"],
        Key(
            one_of("defer", "skip", "deny"),
            "The answer when the plugin fails or is late: 451, none, or 554.",
            "A broken plugin is not an open door, and not a reason to lose mail.",
        ),
    ] = "defer"


class Ledger(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[ledger]`: the record of what was decided and why."""

    keep: Annotated[
        float,
        Key(
            duration("1h", "3650d"),
            "How long records are kept.",
            "Complaints come within weeks; personal data should not be kept for longer.",
        ),
    ] = parse_duration("30d")


class Log(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[log]`: the log on standard error."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Key(one_of("debug", "info", "warning", "error"), "The least that is logged."),
    ] = "info"
    format: Annotated[
        Literal["json", "text"],
        Key(one_of("json", "text"), "json: one object a line, for collectors; text: for people."),
    ] = "json"


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """The whole configuration.

    `base` is the folder that relative paths start at: the file's own, or the current folder for
    a configuration made in code.
    """

    server: Annotated[Server, Key(Table(Server), "The process as a whole.")] = Server()
    listen: Annotated[
        Sequence[Listen], Key(Items(Table(Listen)), "Where connections are taken.")
    ] = (Listen(),)
    tls: Annotated[Tls, Key(Table(Tls), "Certificates.")] = Tls()
    auth: Annotated[Auth, Key(Table(Auth), "Who the users are.")] = Auth()
    smtp: Annotated[Smtp, Key(Table(Smtp), "How strictly the protocol is read.")] = Smtp()
    limits: Annotated[Limits, Key(Table(Limits), "How much a client may use.")] = Limits()
    recipients: Annotated[Recipients, Key(Table(Recipients), "Whose mail is taken.")] = Recipients()
    traps: Annotated[Traps, Key(Table(Traps), "Traps, and what they do.")] = Traps()
    route: Annotated[Sequence[Route], Key(Items(Table(Route)), "Where accepted mail goes.")] = ()
    queue: Annotated[Queue, Key(Table(Queue), "Mail that is not delivered yet.")] = Queue()
    plugin: Annotated[
        Sequence[PluginUse], Key(Items(Table(PluginUse)), "The plugins, in order.")
    ] = ()
    ledger: Annotated[Ledger, Key(Table(Ledger), "What was decided and why.")] = Ledger()
    log: Annotated[Log, Key(Table(Log), "The log.")] = Log()
    base: Path = Path()

    def path(self, name: str) -> Path:
        """Return the path a name in this configuration stands for."""
        return self.base / name

    @property
    def data_dir(self) -> Path:
        """The folder for what is written."""
        return self.path(self.server.data_dir)

    def sources(self, items: Sequence[str]) -> tuple[list[str], list[Path]]:
        """Split `domains` or `known` into entries written inline and paths of list files."""
        prefix = formats.FILE_PREFIX
        inline = [item for item in items if not item.startswith(prefix)]
        files = [self.path(item.removeprefix(prefix)) for item in items if item.startswith(prefix)]
        return inline, files

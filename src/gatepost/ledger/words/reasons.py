"""The reasons of the core and the faults of the protocol: what each means, and what decides it.

A test compares the tables with the source: a reason or a fault without a row fails it. Keys of
`[limits]` need no row. Their text is that of the configuration's schema.
"""

from typing import NamedTuple

from gatepost.config.kinds import keys
from gatepost.config.schema import LimitsConfig
from gatepost.ledger.records import SERVER, Answer
from gatepost.ledger.words.wording import bare


class Reason(NamedTuple):
    """A reason in words.

    `meaning` is what happened. `setting` is the key of the configuration that decides, "" if none
    does. `change` is what would lead to the other outcome.
    """

    meaning: str
    setting: str = ""
    change: str = ""


_CLIENT = "The client has to be corrected."
_RETRY = "The client has to try again later, as mail servers do without being asked."
_NONE = "No setting of the server permits this. "

CORE: dict[str, Reason] = {
    "too-big": Reason(
        "The message is larger than the server accepts.",
        "limits.message_size",
        "Send a smaller message, or a link to the file. Or increase limits.message_size.",
    ),
    "too-many-recipients": Reason(
        "The message has more recipients than one message may have.",
        "limits.recipients",
        "The client sends the other recipients in another message, as mail servers do. Or increase"
        " limits.recipients.",
    ),
    "too-many-messages": Reason(
        "The client has sent as many messages on one connection as it may.",
        "limits.transactions",
        "The client connects again for the next message. Or increase limits.transactions.",
    ),
    "relay-denied": Reason(
        "The recipient's domain is not a domain of this server, and the client may not send to"
        " other domains through it. Or the local part of the address names another host.",
        "recipients.domains, route.relay_for",
        "Add the domain to recipients.domains if it is yours. A client that sends to other domains"
        " has to authenticate, or be in a network of route.relay_for.",
    ),
    "dsn-not-offered": Reason(
        "The client used a parameter of DSN that the server does not offer to it.",
        "route.relay_for",
        "The client has to send without the parameters NOTIFY, ORCPT, RET and ENVID.",
    ),
    "dsn-success-denied": Reason(
        "The client asked for a notification of success. Only trusted clients may do that.",
        "route.relay_for",
        "The client has to authenticate, or send without NOTIFY=SUCCESS.",
    ),
    "unknown-recipient": Reason(
        "The recipient's address does not exist here.",
        "recipients.known",
        "Correct the address. If it is right, add it to recipients.known.",
    ),
    "lookup-failed": Reason(
        "A table of recipients could not answer, so it is not known whether the address exists.",
        "recipients.known",
        "The sender's server tries again. The log has the problem of the table.",
    ),
    "next-hop-refuses": Reason(
        "The next hop refuses the recipient. The server asked it during RCPT (call-ahead).",
        "route.to",
        "The mail server behind this one has to accept the address. Its log has the details.",
    ),
    "refused-by-mta": Reason(
        "The mail server that Gatepost is the milter of refuses the recipient itself.",
        "",
        "The mail server has to accept the address. Its log has the details.",
    ),
    "no-route": Reason(
        "The recipient's domain is local, but no route matches the address.",
        "route.for",
        "Add a [[route]] for the address. `gatepost check` names domains without a route.",
    ),
    "bad-credentials": Reason(
        "The user name or the password is wrong.",
        "auth.users",
        "Correct the password in the mail program. `gatepost users add NAME` sets another one.",
    ),
    "too-many-attempts": Reason(
        "The client's address or network has failed to authenticate too often.",
        "limits.auth_failures_per_ip, limits.auth_failures_per_network",
        "Wait until limits.auth_window has passed, and correct the stored password. Or add the"
        " network to limits.exempt.",
    ),
    "busy": Reason(
        "The server was checking as many passwords as it may at the same time.",
        "limits.auth_checks",
        f"{_RETRY} Or increase limits.auth_checks.",
    ),
    "postmaster": Reason("Mail for postmaster is always accepted (RFC 5321, section 4.5.1)."),
    "quarantined": Reason(
        "A plugin put the message into quarantine: it was accepted and is held in the queue.",
        "plugin",
        "`gatepost queue release` delivers it, `gatepost queue remove` removes it. Behind a milter"
        " listener the mail server holds it: with Postfix, `postsuper -H` releases it.",
    ),
    "storage": Reason(
        "The server could not store the message: the disk, the spool, or the limit of open files"
        " or of content in memory was exhausted.",
        "limits.content_memory, limits.content_files, queue.spool_size",
        f"{_RETRY} If it continues, free some disk space; the log has the cause.",
    ),
    "header-too-long": Reason(
        "The header of the message is longer than the server accepts.",
        "limits.header_size",
        f"{_CLIENT} Or increase limits.header_size.",
    ),
    "too-many-hops": Reason(
        "The message passed through too many servers. Probably two servers forward it to each"
        " other.",
        "limits.hops",
        "Find the loop in the Received fields of the message, and correct the forwarding.",
    ),
    "mail-loop": Reason(
        "The message came back to this server: its Received fields name it already.",
        "server.hostname, route.to",
        "Correct the route or the forwarding that leads back to this server.",
    ),
    "trap": Reason(
        "A recipient of the message is a trap, an address that no legitimate sender uses. The"
        " server refuses such a message for all its recipients.",
        "traps.lists, traps.action",
        "Send the message without the trap. Or remove the entry from its list if a legitimate"
        ' sender uses the address. With traps.action = "shadow" traps refuse nothing.',
    ),
    "trap-recipient": Reason(
        "The recipient is a trap that refuses only itself: a former user, a typing error, a name"
        " that any person can guess, or the sender is known. The other recipients get the message.",
        "traps.lists, traps.table",
        "Remove the entry from its list if a legitimate sender uses the address.",
    ),
    "plugin-failed": Reason(
        "The plugin raised an exception or did not answer in time.",
        "plugin.on_error, plugin.timeout, limits.hook_timeout",
        "Correct the plugin: `plugin failed` in the log has the file and the line. With on_error ="
        ' "skip" the server accepts mail without its decision.',
    ),
    "administrator": Reason("An administrator has ended the session.", "", _RETRY),
    "shutdown": Reason("The server was stopping or reloading.", "server.stop_timeout", _RETRY),
    "early-talker": Reason(
        "The client sent data before the greeting, as many spam programs do.",
        "smtp.greeting_delay",
        f"{_CLIENT} With smtp.greeting_delay = 0 the server does not wait.",
    ),
    "not-delivered": Reason(
        "No rule and no plugin objected, but the message could not be stored or delivered.",
        "route.to",
        "The target of the route has to accept the message. The reply and the log have the cause.",
    ),
    "internal-error": Reason(
        "The server has a bug: `session failed` in the log has the details. Please report it.",
        "",
        "The bug has to be corrected. Until then the client tries again.",
    ),
    "protocol-error": Reason(
        "The client did not follow the protocol. The reply names the fault.", "", _CLIENT
    ),
}

_ORDER = Reason("The client sent a command out of order.", "", _CLIENT)
_SYNTAX = Reason("The client sent a command with wrong syntax.", "", _CLIENT)
_AUTH = Reason("The client sent a wrong command or line while it authenticated.", "", _CLIENT)
_PIPELINED = Reason(
    "The client sent data before it received the reply to its last command, where that is not"
    " permitted. Spam programs do so, and attacks on servers.",
    "",
    _NONE + _CLIENT,
)
_UNKNOWN_COMMAND = Reason("The server does not have this command.", "", _CLIENT)

# Faults of the protocol, by the text of their reply.
FAULTS: dict[str, Reason] = {
    "Line too long": Reason(
        "The client sent a command line that is too long.",
        "limits.command_line",
        f"{_CLIENT} Or increase limits.command_line.",
    ),
    "Bare <CR> or <LF> received": Reason(
        "A command line did not end with CR LF, which attacks (SMTP smuggling) use.",
        "",
        _NONE + _CLIENT,
    ),
    "Syntax error: non-printable character": _SYNTAX,
    "Syntax error: command unrecognised": _SYNTAX,
    "This is an SMTP server": Reason("The client sent HTTP or TLS, not SMTP.", "", _CLIENT),
    "Syntax error: no parameters allowed": _SYNTAX,
    "Syntax error: too many parameters": _SYNTAX,
    "Syntax error: expected a domain name or address literal": _SYNTAX,
    "Syntax error: expected an argument": _SYNTAX,
    "Bad sequence of commands: EHLO or HELO first": _ORDER,
    "Bad sequence of commands: LHLO first": _ORDER,
    "This is LMTP: expected LHLO": Reason(
        "The client sent EHLO or HELO to a listener for LMTP.",
        "listen.protocol",
        'Correct the client, or set protocol = "smtp" in the [[listen]].',
    ),
    "Bad sequence of commands: MAIL first": _ORDER,
    "Bad sequence of commands: a transaction is already open": _ORDER,
    "No valid recipients": Reason(
        "The client sent DATA although all recipients were refused.",
        "",
        "A recipient has to be accepted. The answers show why each was refused.",
    ),
    "Bad sequence of commands: expected BDAT or RSET": _ORDER,
    "Bad sequence of commands: the transaction has failed": _ORDER,
    "Bad sequence of commands: TLS already active": _ORDER,
    "Improper command pipelining after STARTTLS": _PIPELINED,
    "Improper command pipelining after AUTH": _PIPELINED,
    "Improper command pipelining": _PIPELINED._replace(
        setting="smtp.unauthorised_pipelining",
        change=f'{_CLIENT} With smtp.unauthorised_pipelining = "tolerate" the server permits it.',
    ),
    "Syntax error: expected AUTH mechanism [initial-response]": _AUTH,
    "Syntax error: expected base64": _AUTH,
    "Syntax error in the authentication exchange": _AUTH,
    "Authentication exchange line is too long": _AUTH,
    "Authentication cancelled": Reason("The client cancelled the authentication."),
    "Bad sequence of commands: already authenticated": _ORDER,
    "Authentication mechanism not offered": Reason(
        "The client used an authentication mechanism that the server does not offer.",
        "auth.mechanisms",
        "Choose another mechanism in the client, or add this one to auth.mechanisms.",
    ),
    "Encryption required: STARTTLS first": Reason(
        "The client tried to authenticate without TLS, which would reveal the password.",
        "auth.clear",
        "Switch on TLS (STARTTLS) in the client.",
    ),
    "Syntax error: expected MAIL FROM:<address>": Reason(
        "The sender's address is malformed.",
        "smtp.strict_paths",
        "Correct the address in the client.",
    ),
    "Syntax error: expected RCPT TO:<address>": Reason(
        "The recipient's address is malformed.",
        "smtp.strict_paths",
        "Correct the address in the client.",
    ),
    "Non-ASCII address needs the SMTPUTF8 parameter": Reason(
        "An address has characters outside of ASCII, and the client did not announce it.",
        "",
        "The client has to support SMTPUTF8, or use an address in ASCII.",
    ),
    "Syntax error: expected XCLIENT attribute=value ...": _SYNTAX,
    "Syntax error: expected BDAT size [LAST]": _SYNTAX,
    "Empty BDAT chunk without LAST": _SYNTAX,
    "Message size exceeds the limit": CORE["too-big"],
    "Message contains a bare CR, bare LF or NUL": Reason(
        "The content has a line that does not end with CR LF, or a NUL. Attacks (SMTP smuggling)"
        " use such lines, and some printers, scanners and scripts send them.",
        "smtp.bare_lf_from",
        f"{_CLIENT} For a device of yours that cannot be corrected, add its network to"
        " smtp.bare_lf_from.",
    ),
    "Command not implemented": _UNKNOWN_COMMAND,
    "Command not recognised": _UNKNOWN_COMMAND,
    "Too many errors": Reason(
        "The client received too many error replies on one connection.",
        "limits.errors",
        "Correct what the earlier replies name. Or increase limits.errors.",
    ),
    "Internal error, try again later": CORE["internal-error"],
}

# How a connection ended, other than by a limit.
ENDS: dict[str, Reason] = {
    "quit": Reason("The client ended the session with QUIT."),
    "lost": Reason("The client closed the connection without QUIT."),
    "refused": Reason("The server closed the connection after a refusal."),
    "early-talker": CORE["early-talker"],
    "tls-failed": Reason(
        "The TLS handshake failed.",
        "tls.minimum, listen.tls_minimum, tls.certificates",
        "The client has to support TLS of the version in tls.minimum and accept the certificate. A"
        " listener for old devices can have a lower tls_minimum.",
    ),
    "proxy-refused": Reason(
        "The connection came from a network in proxy_from and did not start with a valid PROXY"
        " header.",
        "listen.proxy_from, limits.proxy_timeout",
        "Switch on the PROXY protocol in the proxy, or remove the network from proxy_from.",
    ),
    "accept_from": Reason(
        "The connection came from a host that may not use the listener, which is for mail servers.",
        "listen.accept_from",
        "Add the address to accept_from if the host is one of your mail servers.",
    ),
    "shutdown": CORE["shutdown"],
    "administrator": CORE["administrator"],
    "failed": CORE["internal-error"],
}

PROTOCOL = "protocol"


_LIMITS = {field.name: key.about for field, key in keys(LimitsConfig)}
_OF_ORIGIN = ("_per_ip", "_per_network")


def explain_answer(answer: Answer) -> Reason:
    """Return the reason of an answer in words."""
    if answer.by == PROTOCOL:
        return FAULTS.get(bare(answer.reply)) or of_core(answer.reason) or CORE["protocol-error"]
    if answer.by in SERVER or answer.reason == "plugin-failed":
        return of_core(answer.reason) or Reason("The core of the server decided.")
    return Reason(
        f"The plugin {answer.by} decided.",
        f"plugin (use = {answer.by})",
        f"The options of the plugin {answer.by} decide; `only` and `unless` of its [[plugin]]"
        " exempt clients from it.",
    )


def explain_end(end: str) -> Reason:
    """Return the end of a connection in words."""
    return ENDS.get(end) or of_core(end) or Reason("The connection ended.")


def all_reasons() -> list[str]:
    """Return the reasons of the core and the keys of limits."""
    return [*CORE, *_LIMITS]


def of_core(reason: str) -> Reason | None:
    """Return a reason of the core, or a limit, in words."""
    return CORE.get(reason) or _of_limit(reason)


def _of_limit(key: str) -> Reason | None:
    about = _LIMITS.get(key)
    if about is None:
        return None
    exempt = ", or add the network to limits.exempt" if key.endswith(_OF_ORIGIN) else ""
    return Reason(
        f"The client exceeded limits.{key}. This limit is: {about}",
        f"limits.{key}",
        f"The client has to stay below the limit. Or increase limits.{key}{exempt}.",
    )

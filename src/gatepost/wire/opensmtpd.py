"""The filter protocol of OpenSMTPD (smtpd-filters(7), versions 0.5 to 0.7), without I/O.

OpenSMTPD starts a filter as a child process, writes lines to its standard input and reads lines
from its standard output. Requests of all SMTP sessions are mixed; each has the id of its session
and a token. `Filter` turns each request into the attributes of a policy request
(`gatepost.wire.policy`), and `result` an answer into the line that OpenSMTPD reads.

Fields end with `|`. Those that a client can choose come last, so the last one may contain the
character. Lines that are not understood are ignored, as the protocol requires.

Trust: the mail server. A session id and a token are sent back as they came.
Limits: the content of messages is not asked for. The size of a line is the caller's limit.
"""

from typing import Final, NamedTuple

from gatepost.wire.policy import REQUEST

SUBSYSTEM: Final = "smtp-in"
# What OpenSMTPD reports or asks, and the state of the session that it is about.
STATES: Final = {
    "connect": "CONNECT",
    "helo": "HELO",
    "ehlo": "EHLO",
    "mail-from": "MAIL",
    "rcpt-to": "RCPT",
    "data": "DATA",
}
REPORTS: Final = ("link-connect", "link-disconnect", "link-tls", "link-auth")
REGISTRATION: Final = "".join(
    [
        *(f"register|report|{SUBSYSTEM}|{event}\n" for event in REPORTS),
        *(f"register|filter|{SUBSYSTEM}|{phase}\n" for phase in STATES),
        "register|ready\n",
    ]
)
READY: Final = "config|ready"
_FIRST_NEW_ORDER: Final = (0, 7)
_RESULTS: Final = frozenset({"pass", "fail", "error"})


class Ask(NamedTuple):
    """A request: what to send back (`session`, `token`), and the attributes of a policy request."""

    session: str
    token: str
    attributes: dict[str, str]


class Gone(NamedTuple):
    """The end of an SMTP session."""

    session: str


class Filter:
    """The facts that OpenSMTPD has reported about its open sessions, by session."""

    def __init__(self) -> None:
        self._sessions: dict[str, dict[str, str]] = {}
        # The number of the transaction, and of the recipients that it has named.
        self._counts: dict[str, tuple[int, int]] = {}

    def __len__(self) -> int:
        return len(self._sessions)

    def read(self, line: str) -> Ask | Gone | None:
        """Return what a line without its line break asks or ends, None if it needs no action."""
        kind, _, rest = line.partition("|")
        fields = rest.split("|", 4)
        if len(fields) != 5 or fields[2] != SUBSYSTEM:
            return None
        version, _, _, event, rest = fields
        if kind == "filter" and event in STATES:
            return self._ask(event, rest)
        if kind == "report" and event in REPORTS:
            return self._note(version, event, rest)
        return None

    def _ask(self, phase: str, rest: str) -> Ask | None:
        session, _, rest = rest.partition("|")
        token, _, value = rest.partition("|")
        if not session or not token:
            return None
        facts = self._sessions.setdefault(session, {"instance": f"{session}.0"})
        facts.update(self._learn(session, phase, value))
        attributes = {"request": REQUEST, "protocol_state": STATES[phase], **facts}
        if phase == "data" and self._counts.get(session, (0, 0))[1] != 1:
            attributes["recipient"] = ""  # as Postfix does: one recipient would not be all of them
        return Ask(session, token, attributes)

    def _learn(self, session: str, phase: str, value: str) -> dict[str, str]:
        """Return the attributes that a request adds to those of the session."""
        match phase:
            case "helo" | "ehlo":
                return {
                    "helo_name": value,
                    "protocol_name": "SMTP" if phase == "helo" else "ESMTP",
                }
            case "mail-from":
                number = self._counts.get(session, (0, 0))[0] + 1
                self._counts[session] = (number, 0)
                return {"instance": f"{session}.{number}", "sender": value, "recipient": ""}
            case "rcpt-to":
                number, named = self._counts.get(session, (0, 0))
                self._counts[session] = (number, named + 1)
                return {"recipient": value}
            case _:
                return {}

    def _note(self, version: str, event: str, rest: str) -> Gone | None:
        session, _, value = rest.partition("|")
        if event == "link-disconnect":
            self._counts.pop(session, None)
            self._sessions.pop(session, None)
            return Gone(session)
        facts = self._sessions.setdefault(session, {"instance": f"{session}.0"})
        match event:
            case "link-connect":
                facts.update(_addresses(value))
            case "link-tls":
                facts.update(_tls(value))
            case _:
                facts.update(_login(version, value))
        return None


def _addresses(value: str) -> dict[str, str]:
    """Return the two ends of a connection; the last two fields are addresses with ports."""
    client, server = ["", "", *value.split("|")][-2:]
    found: dict[str, str] = {}
    for name, text in (("client", client), ("server", server)):
        host, colon, port = text.rpartition(":")
        if colon and port.isdigit():
            found |= {f"{name}_address": host.strip("[]"), f"{name}_port": port}
    return found


def _tls(value: str) -> dict[str, str]:
    """Return the facts in a description such as `version=TLSv1.3, cipher=NAME, bits=256`."""
    pairs = dict(part.strip().partition("=")[::2] for part in value.split(","))
    version, _, cipher = value.partition(":")
    return {
        "encryption_protocol": pairs.get("version", version),
        "encryption_cipher": pairs.get("cipher", cipher.partition(":")[0]),
    }


def _login(version: str, value: str) -> dict[str, str]:
    """Return the user of a login; the name was the first field before version 0.7.

    Security: a user with the name of a result is none, so that no order is mistaken for the other.
    """
    result, _, user = value.partition("|")
    if _number(version) < _FIRST_NEW_ORDER:
        user, _, result = value.rpartition("|")
    if result != "pass" or user in _RESULTS:
        return {}
    return {"sasl_username": user, "sasl_method": "LOGIN"}


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def result(ask: Ask, action: str) -> str:
    """Return the line that answers a request, for the value of `action=` in a policy answer."""
    code = action[:3]
    decision = f"reject|{action}" if code.isdigit() and code[0] in "45" else "proceed"
    if code == "421":
        decision = f"disconnect|{action}"
    return f"filter-result|{ask.session}|{ask.token}|{decision}\n"

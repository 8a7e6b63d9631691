"""What the exit status of a program that takes mail means: the numbers of sysexits.h.

Permanent is only what speaks of the message or the recipient. What speaks of the program or this
system – a disk, a setting, a crash, a status that sysexits.h does not have – may be mended: the
mail must not be lost over it. (Postfix has all but EX_TEMPFAIL for permanent.)

What the program says is for the log. The client gets the text from the table.
"""

from gatepost.delivery.program.program import NOT_NOW, End
from gatepost.delivery.target import DeliveryError
from gatepost.model.reply import Reply

PERMANENT: dict[int, tuple[str, Reply]] = {
    65: ("EX_DATAERR", Reply(554, "The message is malformed", "5.6.0")),
    67: ("EX_NOUSER", Reply(550, "No such mailbox here", "5.1.1")),
    68: ("EX_NOHOST", Reply(550, "The recipient's host is not known", "5.1.2")),
    69: ("EX_UNAVAILABLE", Reply(554, "The message was not taken", "5.3.0")),
    76: ("EX_PROTOCOL", Reply(554, "The message was not taken", "5.5.0")),
    77: ("EX_NOPERM", Reply(550, "The message may not be delivered", "5.7.0")),
}
TEMPORARY: dict[int, str] = {
    64: "EX_USAGE",
    66: "EX_NOINPUT",
    70: "EX_SOFTWARE",
    71: "EX_OSERR",
    72: "EX_OSFILE",
    73: "EX_CANTCREAT",
    74: "EX_IOERR",
    75: "EX_TEMPFAIL",
    78: "EX_CONFIG",
}


def failure(program: str, end: End) -> DeliveryError | None:
    """Return what a program's end says against the mail, None where it was taken."""
    if end.status == 0:
        return None
    name, reply = PERMANENT.get(end.status, (TEMPORARY.get(end.status, ""), None))
    detail = f"{program}: {outcome(end, name)}"
    if reply is None:
        return DeliveryError(NOT_NOW, detail=detail)
    return DeliveryError(reply.text, permanent=True, detail=detail, reply=reply)


def outcome(end: End, meaning: str) -> str:
    """Return for the log how a program ended, what that means, and what it said."""
    how = f"exit status {end.status}" if end.status >= 0 else f"signal {-end.status}"
    meant = f" ({meaning})" if meaning else ""
    return f"{how}{meant}: {end.said}" if end.said else f"{how}{meant}"

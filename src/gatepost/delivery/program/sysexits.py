"""The meaning of the exit status of programs that take mail: the numbers of sysexits.h.

A status is permanent only if it is about the message or the recipient. All others are temporary: a
status about the program or this system (a disk, a setting, a crash, a number that sysexits.h does
not have) can be repaired, and the mail must not be lost. (Postfix treats all but EX_TEMPFAIL as
permanent.)

The program's output goes to the log. The client gets the text from the table.
"""

from gatepost.delivery.program.runner import NOT_DELIVERED, ExitResult
from gatepost.delivery.target import DeliveryError
from gatepost.model.reply import Reply

PERMANENT: dict[int, tuple[str, Reply]] = {
    65: ("EX_DATAERR", Reply(554, "Data format error", "5.6.0")),
    67: ("EX_NOUSER", Reply(550, "User unknown", "5.1.1")),
    68: ("EX_NOHOST", Reply(550, "Host unknown", "5.1.2")),
    69: ("EX_UNAVAILABLE", Reply(554, "Service unavailable", "5.3.0")),
    76: ("EX_PROTOCOL", Reply(554, "Remote protocol error", "5.5.0")),
    77: ("EX_NOPERM", Reply(550, "Permission denied", "5.7.0")),
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


def check_exit(program: str, result: ExitResult) -> None:
    """Raise `DeliveryError` unless the program took the mail."""
    if result.status == 0:
        return
    name, reply = PERMANENT.get(result.status, (TEMPORARY.get(result.status, ""), None))
    detail = f"{program}: {describe_exit(result, name)}"
    if reply is None:
        raise DeliveryError(NOT_DELIVERED, detail=detail)
    raise DeliveryError(reply.text, permanent=True, detail=detail, reply=reply)


def describe_exit(result: ExitResult, meaning: str) -> str:
    """Return for the log how a program ended, what that means, and its output."""
    number = result.status
    how = f"exit status {number}" if number >= 0 else f"signal {-number}"
    explained = f"{how} ({meaning})" if meaning else how
    return f"{explained}: {result.output}" if result.output else explained

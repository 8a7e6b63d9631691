"""The target `qmail-queue:`: the entrance of qmail, and of what imitates it.

The interface is that of qmail-queue(8): the program reads the message from descriptor 0 to its end,
then the envelope from descriptor 1: `F` and the sender, `T` and each recipient, a NUL behind each,
and one more NUL. Addresses have no quotes, the message's lines end in LF. All recipients have one
answer, the exit status.

Trusts the command line, which is the administrator's. Security: see `arguments` and `program`; no
address has a control character, so none can add to the envelope.
"""

from collections.abc import Iterator
from pathlib import Path

from gatepost.delivery.content import whole, with_lf
from gatepost.delivery.program.arguments import Arguments, check_value
from gatepost.delivery.program.environment import environment, refusals
from gatepost.delivery.program.program import NOT_NOW, End, Job, Programs
from gatepost.delivery.program.sysexits import outcome
from gatepost.delivery.target import Delivery, DeliveryError
from gatepost.model.address import Address
from gatepost.model.reply import Reply

# qmail-queue(8), "EXIT CODES". From 11 to 40 all are permanent, whether they have a name or not.
MEANINGS = {
    11: "address too long",
    31: "the mail server refuses the message for good",
    51: "out of memory",
    52: "timeout",
    53: "write error, such as a full disk",
    54: "cannot read the message or the envelope",
    55: "cannot read a configuration file",
    56: "network trouble on this host",
    61: "trouble with the home folder",
    62: "trouble with the queue folder",
    63: "trouble with queue/pid",
    64: "trouble with queue/mess",
    65: "trouble with queue/intd",
    66: "trouble with queue/todo",
    71: "the mail server refuses the message for now",
    72: "timeout of the connection to the mail server",
    73: "the mail server refused the connection",
    74: "the mail server could be reached, but not talked to",
    81: "bug in qmail-queue",
    91: "malformed envelope",
}
PERMANENT = range(11, 41)
ADDRESS_TOO_LONG = Reply(553, "An address is too long", "5.1.3")
REFUSED = Reply(554, "The message was not taken", "5.3.0")


class QmailQueue:
    """Hands over to qmail-queue.

    `command` is the program, with arguments if it needs some (see `Arguments`), `programs` runs it;
    `hostname` stands for the domain of `<postmaster>`. Raises ValueError for a command that cannot
    be used.
    """

    hands_on = True

    def __init__(self, command: str, *, base: Path, hostname: str, programs: Programs) -> None:
        self._arguments = Arguments(command, base)
        self._base = base.absolute()
        self._hostname = hostname
        self._programs = programs
        self.program = self._arguments.program

    async def deliver(self, delivery: Delivery) -> None:
        """Run the program once for all recipients; see `Target`."""
        with refusals():
            job = Job(
                self._arguments.fill(),
                environment(delivery.transaction, delivery.recipients),
                self._base,
                {0: with_lf(whole(delivery.message)), 1: list(self._envelope(delivery))},
            )
        error = failure(str(self.program), await self._programs.run(job))
        if error is not None:
            raise error

    async def stop(self) -> None:
        """See `Stoppable`."""
        await self._programs.stop()

    def _envelope(self, delivery: Delivery) -> Iterator[bytes]:
        """Yield the envelope; raises `ValueRefusedError`."""
        yield self._entry("F", "sender", delivery.transaction.reverse_path)
        for recipient in delivery.recipients:
            yield self._entry("T", "recipient", recipient.address)
        yield b"\0"

    def _entry(self, letter: str, field: str, address: Address) -> bytes:
        plain = f"{address.local}@{address.domain or self._hostname}" if address else ""
        return f"{letter}{check_value(field, plain)}\0".encode()


def failure(program: str, end: End) -> DeliveryError | None:
    """Return what a program's end says against the mail, None where it was taken."""
    if end.status == 0:
        return None
    detail = f"qmail-queue: {program}: {outcome(end, MEANINGS.get(end.status, ''))}"
    if end.status not in PERMANENT:
        return DeliveryError(NOT_NOW, detail=detail)
    reply = ADDRESS_TOO_LONG if end.status == 11 else REFUSED
    return DeliveryError(reply.text, permanent=True, detail=detail, reply=reply)

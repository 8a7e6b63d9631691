"""The target `qmail-queue:`, the program that queues mail for qmail and compatible servers.

The interface is that of qmail-queue(8). The program reads the message from descriptor 0, then the
envelope from descriptor 1: `F` and the sender, `T` and each recipient, each followed by a NUL, and
a final NUL. Addresses have no quotes, and lines of the message end in LF. The exit status is the
result for all recipients.

The command line comes from the administrator and is trusted. Security: see `command_line` and
`runner`. No address contains a control character, so none can add to the envelope.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Self

from gatepost.delivery.content import complete, with_lf
from gatepost.delivery.program.command_line import check_value
from gatepost.delivery.program.environment import unsafe_values_refused
from gatepost.delivery.program.runner import NOT_DELIVERED, ExitResult, ProgramRunner
from gatepost.delivery.program.sysexits import describe_exit
from gatepost.delivery.program.target import ProgramTarget, make_runner
from gatepost.delivery.target import Delivery, DeliveryError, TargetSpec
from gatepost.model.address import Address
from gatepost.model.reply import Reply

# qmail-queue(8), "EXIT CODES". All from 11 to 40 are permanent.
MEANINGS = {
    11: "address too long",
    31: "message refused permanently",
    51: "out of memory",
    52: "timeout",
    53: "write error, such as a full disk",
    54: "cannot read the message or the envelope",
    55: "cannot read a configuration file",
    56: "network error on this host",
    61: "error in the home folder",
    62: "error in the queue folder",
    63: "error in queue/pid",
    64: "error in queue/mess",
    65: "error in queue/intd",
    66: "error in queue/todo",
    71: "message refused temporarily",
    72: "timeout of the connection to the mail server",
    73: "connection refused by the mail server",
    74: "protocol error from the mail server",
    81: "bug in qmail-queue",
    91: "malformed envelope",
}
PERMANENT = range(11, 41)
ADDRESS_TOO_LONG = Reply(553, "Address too long", "5.1.3")
REFUSED = Reply(554, "Message refused", "5.3.0")


class QmailQueueTarget(ProgramTarget):
    """Delivers to qmail-queue; `hostname` is the domain of `<postmaster>`."""

    final_delivery = False

    def __init__(self, command: str, *, base: Path, hostname: str, runner: ProgramRunner) -> None:
        super().__init__(command, base=base, runner=runner)
        self._hostname = hostname

    @classmethod
    def from_route(cls, spec: TargetSpec) -> Self:
        """Return the target for `qmail-queue:COMMAND`."""
        return cls(spec.text, base=spec.base, hostname=spec.hostname, runner=make_runner(spec))

    async def deliver(self, delivery: Delivery) -> None:
        """Run the program once for all recipients."""
        content = with_lf(complete(delivery.message))
        with unsafe_values_refused():
            inputs = {0: content, 1: list(self._envelope(delivery))}
            arguments = self.command.arguments()
            run = self._prepare(delivery, delivery.recipients, arguments, inputs)
        check_exit(str(self.command.program), await self._run(run))

    def _envelope(self, delivery: Delivery) -> Iterator[bytes]:
        """Yield the envelope; raise `UnsafeValueError`."""
        yield self._entry("F", "sender", delivery.transaction.reverse_path)
        for recipient in delivery.recipients:
            yield self._entry("T", "recipient", recipient.address)
        yield b"\0"

    def _entry(self, letter: str, field: str, address: Address) -> bytes:
        plain = f"{address.local}@{address.domain or self._hostname}" if address else ""
        return f"{letter}{check_value(field, plain)}\0".encode()


def check_exit(program: str, result: ExitResult) -> None:
    """Raise `DeliveryError` unless qmail-queue took the mail."""
    if result.status == 0:
        return
    detail = f"qmail-queue: {program}: {describe_exit(result, MEANINGS.get(result.status, ''))}"
    if result.status not in PERMANENT:
        raise DeliveryError(NOT_DELIVERED, detail=detail)
    reply = ADDRESS_TOO_LONG if result.status == 11 else REFUSED
    raise DeliveryError(reply.text, permanent=True, detail=detail, reply=reply)

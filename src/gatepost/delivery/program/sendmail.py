"""The target `sendmail:`: the mail server of this machine, by way of its command.

Postfix, Exim, OpenSMTPD and others have a program that is called as Sendmail's was:
`sendmail -i -f SENDER -- RECIPIENT…`, with the message on standard input, lines ending in LF. A
full stop alone on a line is content (`-i`); the null reverse-path is `<>`. The exit status is one
of sysexits.h.

Trusts the command line, which is the administrator's. Security: see `arguments` and `program`; an
address that begins with `-` is refused, whatever the program makes of `--`.

Limits: BATCH recipients for a run, so that what the system allows for arguments is never reached.
"""

from __future__ import annotations

from pathlib import Path

from gatepost.delivery.content import whole, with_lf
from gatepost.delivery.program.arguments import Arguments, check_start
from gatepost.delivery.program.environment import environment, refusals
from gatepost.delivery.program.program import Job, Programs
from gatepost.delivery.program.sysexits import failure
from gatepost.delivery.target import Delivery, DeliveryError, Failures
from gatepost.model.address import Address
from gatepost.model.session import Recipient

# Linux allows 2 MiB; an address has at most MAX_LOCAL + MAX_DOMAIN characters, some of 4 octets.
BATCH = 500


class Sendmail:
    """Hands over to a mail server on this machine.

    `command` is the program, with arguments that come before ours if it needs some (see
    `Arguments`); `programs` runs it. Raises ValueError for a command that cannot be used.
    """

    hands_on = True

    def __init__(self, command: str, *, base: Path, programs: Programs) -> None:
        self._arguments = Arguments(command, base)
        self._base = base.absolute()
        self._programs = programs
        self.program = self._arguments.program

    async def deliver(self, delivery: Delivery) -> Failures:
        """Run the program, once unless there are very many recipients; see `Target`."""
        failures: dict[Recipient, DeliveryError] = {}
        for start in range(0, len(delivery.recipients), BATCH):
            batch = delivery.recipients[start : start + BATCH]
            try:
                await self._run(delivery, batch)
            except DeliveryError as error:
                failures |= dict.fromkeys(batch, error)
        return failures

    async def stop(self) -> None:
        """See `Stoppable`."""
        await self._programs.stop()

    async def _run(self, delivery: Delivery, recipients: list[Recipient]) -> None:
        with refusals():
            sender = _path("sender", delivery.transaction.reverse_path) or "<>"
            paths = [_path("recipient", recipient.address) for recipient in recipients]
            job = Job(
                [*self._arguments.fill(), "-i", "-f", sender, "--", *paths],
                environment(delivery.transaction, recipients),
                self._base,
                {0: with_lf(whole(delivery.message))},
            )
        error = failure(f"sendmail: {self.program}", await self._programs.run(job))
        if error is not None:
            raise error


def _path(field: str, address: Address) -> str:
    return check_start(field, str(address))

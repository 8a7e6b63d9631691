"""The target `pipe:`: a program that takes messages on its standard input.

It runs once for each recipient if its arguments name the recipient, else once for the message; its
exit status decides (see `sysexits`). It gets the message with the header fields added on the way,
without a Return-Path: the reverse-path is in SENDER and, if wanted, in an argument. It
starts in the configuration's folder.

Trusts the command line, which is the administrator's. Security: see `arguments` and `program`.

Limits: the runs of one message follow each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from gatepost.delivery.content import whole
from gatepost.delivery.fields import mailbox_fields
from gatepost.delivery.program.arguments import FIELDS, Arguments
from gatepost.delivery.program.environment import environment, refusals
from gatepost.delivery.program.program import Job, Programs
from gatepost.delivery.program.sysexits import failure
from gatepost.delivery.target import Delivery, DeliveryError, Failures
from gatepost.model.address import domain_key
from gatepost.model.session import Recipient, Transaction

LineEnds = Callable[[Iterable[bytes]], Iterable[bytes]]


class Pipe:
    """Delivers to a program.

    `command` is its command line (see `Arguments`), `programs` runs it, `line_ends` turns the
    message's pieces into those it wants; `hostname` stands for the domain of `<postmaster>`.
    Raises ValueError for a command that cannot be used.
    """

    def __init__(
        self, command: str, *, base: Path, hostname: str, programs: Programs, line_ends: LineEnds
    ) -> None:
        self._arguments = Arguments(command, base, FIELDS)
        self._base = base.absolute()
        self._hostname = domain_key(hostname)
        self._programs = programs
        self._line_ends = line_ends
        self.program = self._arguments.program

    async def deliver(self, delivery: Delivery) -> Failures | None:
        """Run the program; see `Target`."""
        if not self._arguments.per_recipient:
            await self._run(delivery, delivery.recipients)
            return None
        failures = {}
        for recipient in delivery.recipients:
            try:
                await self._run(delivery, [recipient])
            except DeliveryError as error:
                failures[recipient] = error
        return failures

    async def stop(self) -> None:
        """See `Stoppable`."""
        await self._programs.stop()

    async def _run(self, delivery: Delivery, recipients: list[Recipient]) -> None:
        with refusals():
            values = self._values(delivery.transaction, recipients[0])
            job = Job(
                self._arguments.fill(values),
                environment(delivery.transaction, recipients),
                self._base,
                {0: self._line_ends(whole(delivery.message))},
            )
        error = failure(f"pipe: {self.program}", await self._programs.run(job))
        if error is not None:
            raise error

    def _values(self, tx: Transaction, recipient: Recipient) -> dict[str, str]:
        path = str(recipient.address)
        fields = mailbox_fields(recipient, self._hostname)
        return {**fields, "recipient": path, "sender": str(tx.reverse_path)}

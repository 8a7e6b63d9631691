"""The target `pipe:`, a program that reads messages from its standard input.

The program runs once for each recipient if its arguments name the recipient, otherwise once for the
message. Its exit status decides (see `sysexits`). It reads the message with the header fields added
by this server, without a Return-Path: the reverse-path is in SENDER and, with `{sender}`, in an
argument. It starts in the configuration's folder.

The command line comes from the administrator and is trusted. Security: see `command_line` and
`runner`.

Limits: the runs for one message follow each other.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Self

from gatepost.config.schema import PipeConfig
from gatepost.delivery.content import complete, with_lf
from gatepost.delivery.fields import mailbox_fields
from gatepost.delivery.program.command_line import FIELDS
from gatepost.delivery.program.environment import unsafe_values_refused
from gatepost.delivery.program.runner import ProgramRunner
from gatepost.delivery.program.sysexits import check_exit
from gatepost.delivery.program.target import ProgramTarget, make_runner
from gatepost.delivery.target import Delivery, DeliveryError, Failures, TargetSpec
from gatepost.model.address import domain_key
from gatepost.model.session import Recipient, Transaction

LineEnds = Callable[[Iterable[bytes]], Iterable[bytes]]

LINE_ENDS: dict[str, LineEnds] = {"lf": with_lf, "crlf": iter}


class PipeTarget(ProgramTarget):
    """Delivers to a program.

    `line_ends` converts the pieces of the message to the line ends that the program needs.
    `hostname` is the domain of `<postmaster>`.
    """

    def __init__(
        self,
        command: str,
        *,
        base: Path,
        hostname: str,
        runner: ProgramRunner,
        line_ends: LineEnds = with_lf,
    ) -> None:
        super().__init__(command, base=base, runner=runner, fields=FIELDS)
        self._hostname = domain_key(hostname)
        self._line_ends = line_ends

    @classmethod
    def from_route(cls, spec: TargetSpec) -> Self:
        """Return the target for `pipe:COMMAND`."""
        options: PipeConfig = spec.options
        return cls(
            spec.text,
            base=spec.base,
            hostname=spec.hostname,
            runner=make_runner(spec),
            line_ends=LINE_ENDS[options.line_ends],
        )

    async def deliver(self, delivery: Delivery) -> Failures | None:
        """Run the program once, or once for each recipient."""
        if not self.command.per_recipient:
            await self._deliver_to(delivery, delivery.recipients)
            return None
        failures = {}
        for recipient in delivery.recipients:
            try:
                await self._deliver_to(delivery, [recipient])
            except DeliveryError as error:
                failures[recipient] = error
        return failures

    async def _deliver_to(self, delivery: Delivery, recipients: list[Recipient]) -> None:
        content = self._line_ends(complete(delivery.message))
        with unsafe_values_refused():
            values = self._values(delivery.transaction, recipients[0])
            arguments = self.command.arguments(values)
            run = self._prepare(delivery, recipients, arguments, {0: content})
        check_exit(f"pipe: {self.command.program}", await self._run(run))

    def _values(self, tx: Transaction, recipient: Recipient) -> dict[str, str]:
        address = str(recipient.address)
        fields = mailbox_fields(recipient, self._hostname)
        return {**fields, "recipient": address, "sender": str(tx.reverse_path)}

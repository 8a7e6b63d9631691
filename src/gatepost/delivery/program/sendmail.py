"""The target `sendmail:`, the mail server of this machine, through its sendmail command.

Postfix, Exim, OpenSMTPD and others have a command with Sendmail's interface:
`sendmail -i -f SENDER -- RECIPIENT…`, with the message on standard input and lines ending in LF.
With `-i` a full stop alone on a line is content. The null reverse-path is `<>`. The exit status is
one of sysexits.h.

The command line comes from the administrator and is trusted. Security: see `command_line` and
`runner`. An address that starts with `-` is refused, even though `--` is in front of it.

Limits: BATCH recipients for a run, far below the system's limit for arguments.
"""

from typing import Self

from gatepost.delivery.content import complete, with_lf
from gatepost.delivery.program.command_line import check_start
from gatepost.delivery.program.environment import unsafe_values_refused
from gatepost.delivery.program.sysexits import check_exit
from gatepost.delivery.program.target import ProgramTarget, make_runner
from gatepost.delivery.target import Delivery, DeliveryError, Failures, TargetSpec
from gatepost.model.address import Address
from gatepost.model.session import Recipient

# Linux allows 2 MiB; an address has at most MAX_LOCAL + MAX_DOMAIN characters, some of 4 octets.
BATCH = 500


class SendmailTarget(ProgramTarget):
    """Delivers to a mail server on this machine."""

    final_delivery = False

    @classmethod
    def from_route(cls, spec: TargetSpec) -> Self:
        """Return the target for `sendmail:COMMAND`."""
        return cls(spec.text, base=spec.base, runner=make_runner(spec))

    async def deliver(self, delivery: Delivery) -> Failures:
        """Run the program once for each BATCH of recipients."""
        failures: dict[Recipient, DeliveryError] = {}
        for start in range(0, len(delivery.recipients), BATCH):
            batch = delivery.recipients[start : start + BATCH]
            try:
                await self._deliver_to(delivery, batch)
            except DeliveryError as error:
                failures |= dict.fromkeys(batch, error)
        return failures

    async def _deliver_to(self, delivery: Delivery, recipients: list[Recipient]) -> None:
        content = with_lf(complete(delivery.message))
        with unsafe_values_refused():
            sender = _path("sender", delivery.transaction.reverse_path) or "<>"
            paths = [_path("recipient", recipient.address) for recipient in recipients]
            arguments = [*self.command.arguments(), "-i", "-f", sender, "--", *paths]
            run = self._prepare(delivery, recipients, arguments, {0: content})
        check_exit(f"sendmail: {self.command.program}", await self._run(run))


def _path(field: str, address: Address) -> str:
    return check_start(field, str(address))

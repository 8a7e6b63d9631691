"""The base of the targets that run a program."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from gatepost.config.schema import PipeConfig
from gatepost.delivery.program.command_line import CommandLine
from gatepost.delivery.program.environment import environment
from gatepost.delivery.program.runner import ExitResult, ProgramRun, ProgramRunner
from gatepost.delivery.target import Delivery, Target, TargetPath, TargetSpec
from gatepost.model.session import Recipient


class ProgramTarget(Target):
    """Delivers to a program, which starts in the folder `base`; `runner` runs it.

    `command` is the command line, which may contain `fields` (see `CommandLine`). Raise ValueError
    for a command that cannot be used.
    """

    options_table = "pipe"

    def __init__(
        self, command: str, *, base: Path, runner: ProgramRunner, fields: Sequence[str] = ()
    ) -> None:
        self.command = CommandLine(command, base, fields)
        self._folder = base.absolute()
        self._runner = runner

    async def stop(self) -> None:
        """Release the threads."""
        self._runner.stop()

    def paths(self) -> tuple[TargetPath, ...]:
        """Return the program."""
        return (TargetPath("program", self.command.program),)

    def _prepare(
        self,
        delivery: Delivery,
        recipients: list[Recipient],
        arguments: Sequence[str],
        inputs: Mapping[int, Iterable[bytes]],
    ) -> ProgramRun:
        """Return the run that delivers to these recipients; raise `UnsafeValueError`."""
        variables = environment(delivery.transaction, recipients)
        return ProgramRun(arguments, variables, self._folder, inputs)

    async def _run(self, run: ProgramRun) -> ExitResult:
        return await self._runner.run(run)


def make_runner(spec: TargetSpec) -> ProgramRunner:
    """Return a runner with the limits of the route's table `pipe`."""
    options: PipeConfig = spec.options
    return ProgramRunner(timeout=options.timeout, concurrency=options.concurrency)

"""The process of one trial: `python -m gatepost.checks.trial.child`, started by `apart`.

The task is a pickle on standard input, the answer is JSON on standard output. Plugins that print
write to standard error instead, which has the log.

The process limits itself: MEMORY, the time of the task, and a little more by an alarm in case that
a plugin blocks and its parent has ended. SIGTERM cancels the trial, so that plugins can end their
own programs.

Security: a pickle can run code. The task is made by the parent.
"""

import asyncio
import os
import pickle
import resource
import signal
import sys
from typing import BinaryIO

from gatepost.checks.scratch import scratch
from gatepost.checks.trial.envelope import check_listener
from gatepost.checks.trial.run import run
from gatepost.checks.trial.task import MEMORY, Answer, Task, encode_answer, too_long
from gatepost.config.load import load_config
from gatepost.config.problem import ConfigError
from gatepost.config.schema import Config
from gatepost.ledger.records import Record
from gatepost.log.os_error import describe_os_error
from gatepost.log.setup import configure_command_log
from gatepost.plugin.host import PluginError
from gatepost.session.assemble import SetupError

# Seconds after the time of the task until the alarm ends the process.
_LATE = 5.0


def main() -> None:
    """Run the task on standard input, and write the answer."""
    output = _own_output()
    task: Task = pickle.load(sys.stdin.buffer)  # noqa: S301 - see Security above
    _limit(task.seconds)
    configure_command_log("info")
    output.write(encode_answer(_answer(task)))
    output.close()


def _own_output() -> BinaryIO:
    """Return standard output for the answer; from now on `print` writes to standard error."""
    output = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return output


def _limit(seconds: float) -> None:
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.setitimer(signal.ITIMER_REAL, seconds + _LATE)


def _answer(task: Task) -> Answer:
    try:
        return asyncio.run(_run(task))
    except TimeoutError:
        return Answer(problem=too_long(task.seconds))
    except (ConfigError, SetupError, PluginError) as error:
        return Answer(problem=str(error))
    except OSError as error:
        return Answer(problem=describe_os_error(error))
    except (ValueError, MemoryError) as error:
        return Answer(problem=str(error) or "The trial needed too much memory.")


async def _run(task: Task) -> Answer:
    current = asyncio.current_task()
    assert current is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, current.cancel)
    async with asyncio.timeout(task.seconds):
        config = _config(task)
        check_listener(task.envelope.listen, {one.name for one in config.listen})
        records: list[Record] = []
        with scratch(config) as usable:
            trial = await run(usable, task.envelope, task.content, records.append)
        return Answer(trial, records)


def _config(task: Task) -> Config:
    """Return the configuration of a task, or that of a file; raises `ConfigError`."""
    return load_config(task.config) if isinstance(task.config, str) else task.config


if __name__ == "__main__":
    main()

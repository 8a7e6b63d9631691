"""A process that delivers one message to two recipients and reports it, or is killed before.

Arguments: the base folder; the name of a function of `os` and the number of the call that kills.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path

from tests.delivery.samples import delivery, recipient

from gatepost.delivery.maildir.maildir import MaildirTarget


def kill_at(name, nth):
    real = getattr(os, name)
    calls = iter(range(1, nth))

    def call(*args, **kwargs):
        if next(calls, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **kwargs)

    setattr(os, name, call)


def main(base, name="", nth="0"):
    target = MaildirTarget("mail/{local}", base=Path(base), hostname="mx.example.com")
    if name:
        kill_at(name, int(nth))
    asyncio.run(target.deliver(delivery(recipient("a@x.example"), recipient("b@x.example"))))
    os.write(1, b"250 delivered\n")


main(*sys.argv[1:])

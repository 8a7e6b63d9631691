"""Gatepost as a separate process, for the tests of `serve` and of the demo."""

import re
import subprocess
import sys

READY = re.compile(r"gatepost: ready smtp=(\S*):(\d+)(?: .*)?\n")


class Process:
    """A process that runs until the end of `with`. `errors` are the lines read so far."""

    def __init__(self, *command, **options):
        self.errors = []
        self._command = [sys.executable, *map(str, command)]
        self._options = options

    def __enter__(self):
        self.popen = subprocess.Popen(
            self._command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="surrogateescape",
            **self._options,
        )
        return self

    def __exit__(self, *exc):
        self.popen.kill()
        self.popen.communicate()

    def line(self):
        """Wait for the next line on standard error, except the warning that tests run as root."""
        while True:
            self.errors.append(self.popen.stderr.readline())
            if "running as root" not in self.errors[-1]:
                return self.errors[-1]

    def address(self):
        """Wait for the ready line; return host and port."""
        for line in iter(self.line, ""):
            match = READY.fullmatch(line)
            if match:
                return match[1], int(match[2])
        raise AssertionError(f"not ready: {''.join(self.errors)}")

    def stop(self, number):
        """Send a signal; return the exit status and the rest of standard error."""
        self.popen.send_signal(number)
        return self.end()

    def end(self):
        _, rest = self.popen.communicate()
        return self.popen.returncode, rest


def serve(folder, **options):
    return Process("-m", "gatepost", "serve", cwd=folder, **options)

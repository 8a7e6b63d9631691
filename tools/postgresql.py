"""Run a real PostgreSQL in a separate folder, on a free port of the loopback address.

    with postgresql.running("create table users (address text primary key)") as server:
        ...  # open server.url
        server.execute("insert into users values ('ann@example.com')")

Every connection needs the password. A test may kill the server and start it again. As root, it runs
as an account without rights, because PostgreSQL refuses root. The folder is not one of pytest's,
because that account cannot enter those.
"""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tools import peers
from tools.daemon import HOST, POLL, START_TIMEOUT, accepts, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "postgres"
OWNER = "nobody"
USER, PASSWORD, DATABASE = "gatepost", "pass/word", "postgres"

SETTINGS = {
    "listen_addresses": HOST,
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "20",
    "logging_collector": "off",
}


class PostgreSQL:
    """A PostgreSQL with its data in `folder`; `start` runs it again after `kill`."""

    def __init__(self, folder: Path, command: peers.Command) -> None:
        self.folder = folder
        self.port = free_port()
        self._programs = Path(command.prefix[0]).resolve().parent
        self._env = command.env
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The URL for SQLAlchemy, without the password."""
        return f"postgresql+asyncpg://{USER}@{HOST}:{self.port}/{DATABASE}"

    def _argv(self, program: str, *words: str | Path) -> list[str]:
        """Return a command line; root gives up its rights."""
        argv = [str(self._programs / program), *map(str, words)]
        if os.geteuid():
            return argv
        owner = pwd.getpwnam(OWNER)
        rights = ("--reuid", str(owner.pw_uid), "--regid", str(owner.pw_gid), "--clear-groups")
        return ["setpriv", *rights, *argv]

    def create(self) -> None:
        """Make an empty database cluster; raise `RuntimeError` if that fails."""
        if not os.geteuid():
            os.chown(self.folder, pwd.getpwnam(OWNER).pw_uid, -1)
        password = self.folder / "password"
        password.write_text(PASSWORD)
        password.chmod(0o644)
        self._run(
            "initdb", "-D", self.folder / "data", "-U", USER, "--auth=scram-sha-256",
            f"--pwfile={password}", "--no-locale", "-E", "UTF8", "--no-sync",
        )  # fmt: skip

    def execute(self, sql: str) -> str:
        """Run SQL statements; return their output; raise `RuntimeError` with the error."""
        place = ("-h", HOST, "-p", str(self.port), "-U", USER, "-d", DATABASE)
        return self._run("psql", *place, "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", sql)

    def _run(self, program: str, *words: str | Path) -> str:
        done = subprocess.run(
            self._argv(program, *words),
            env={**self._env, "PGPASSWORD": PASSWORD},
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{program} failed:\n{done.stdout}{done.stderr}")
        return done.stdout

    def start(self) -> None:
        """Start it and wait until it answers; raise `RuntimeError` if it does not."""
        log = self.folder / "log"
        settings = {**SETTINGS, "port": self.port, "unix_socket_directories": self.folder}
        options = [f"--{name}={value}" for name, value in settings.items()]
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                self._argv("postgres", "-D", self.folder / "data", *options),
                env=self._env,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        deadline = time.monotonic() + START_TIMEOUT
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL does not start:\n{log.read_text()}")
            time.sleep(POLL)

    def _answers(self) -> bool:
        if not accepts(self.port):
            return False
        with suppress(RuntimeError):  # it accepts connections before it is ready
            self.execute("select 1")
            return True
        return False

    def kill(self) -> None:
        """End it and all connections at once, even if it is suspended."""
        if self._process is not None:
            self._signal(signal.SIGQUIT)
            self._signal(signal.SIGCONT)
            self._process.wait()
            self._process = None

    def suspend(self) -> None:
        """Stop all its processes; the port still accepts connections."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let its processes continue."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        """Send a signal to the server and to the processes of its connections."""
        assert self._process is not None
        server = self._process.pid
        children = Path(f"/proc/{server}/task/{server}/children").read_text().split()
        for pid in (server, *map(int, children)):
            with suppress(ProcessLookupError):
                os.kill(pid, number)


def why_not() -> str:
    """Return why PostgreSQL cannot run here, or ""."""
    return peers.missing([NAME]).get(NAME, "")


@contextmanager
def running(sql: str = "") -> Iterator[PostgreSQL]:
    """Run PostgreSQL, with these statements executed, and kill it on exit.

    Raise `peers.UnavailableError` if it is not available, and `RuntimeError` if it does not start.
    """
    command = peers.find(NAME)
    if command is None:
        raise peers.UnavailableError(why_not())
    with tempfile.TemporaryDirectory(prefix="postgresql-", ignore_cleanup_errors=True) as name:
        server = PostgreSQL(Path(name), command)
        server.create()
        try:
            server.start()
            if sql:
                server.execute(sql)
            yield server
        finally:
            server.kill()

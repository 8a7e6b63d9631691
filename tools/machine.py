"""Run a Debian machine of namespaces, with Postfix, Dovecot and Gatepost at their usual paths.

The machine has its own network, processes and file system, so commands from a page work without
any change: port 25, /etc/postfix and useradd are its own. A second host, `outside`, is a client on
the same network:

    with machine.running() as mx:
        mx.write("/etc/gatepost/gatepost.toml", text)
        mx.run("systemctl restart gatepost")
        mx.run("swaks --server mx.example.com", outside=True)

| host | name | addresses |
| --- | --- | --- |
| the machine | mx.example.com | 203.0.113.25, 2001:db8::25 |
| outside | client.example.net | 203.0.113.7, 2001:db8::7 |

Postfix is configured as the Debian package does it for an "Internet Site" with the domain
example.com; Dovecot has Debian's default files. The users alice and bob exist. Gatepost is the code
of this checkout, as /opt/gatepost/bin/gatepost. systemd is replaced by tools/systemctl.py.

Limits: needs root, `unshare`, `ip` and overlay mounts (`why_not`). There is no DNS.
"""

from __future__ import annotations

import contextlib
import functools
import shlex
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tools import mounts, peers
from tools.daemon import POLL, START_TIMEOUT

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("postfix", "dovecot", "swaks", "logrotate")
COMMAND_TIMEOUT = 120  # seconds for the commands of one block

# The code of this checkout, and a Python that every user can run.
PYTHON = f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}"
CODE = {
    "opt/gatepost/src": ROOT / "src",
    "opt/gatepost/lib": Path(sysconfig.get_path("purelib")),
    "opt/gatepost-source": ROOT,
}

# Folders of the machine that replace those of the system.
FOLDERS = ("etc", "var", "home", "opt", "root", "run", "usr/local")

# Files of the system that programs in the machine read.
ETC = (
    *(
        "alternatives",
        "default",
        "ld.so.cache",
        "ld.so.conf",
        "ld.so.conf.d",
        "environment",
        "localtime",
    ),
    *("login.defs", "nsswitch.conf", "pam.d", "perl", "protocols", "security", "services", "ssl"),
)
UNPRIVILEGED = "nobody"  # the account that Postfix uses for programs
ACCOUNTS = f"""\
root:x:0:0:root:/root:/bin/sh
daemon:x:1:1::/usr/sbin:/usr/sbin/nologin
{UNPRIVILEGED}:x:65534:65534::/nonexistent:/usr/sbin/nologin
postfix:x:105:112::/var/spool/postfix:/usr/sbin/nologin
dovecot:x:106:114::/usr/lib/dovecot:/usr/sbin/nologin
dovenull:x:107:115::/nonexistent:/usr/sbin/nologin
alice:x:1001:1001::/home/alice:/bin/sh
bob:x:1002:1002::/home/bob:/bin/sh
"""
GROUPS = """\
root:x:0:
daemon:x:1:
adm:x:4:
mail:x:8:
nogroup:x:65534:
postfix:x:112:
postdrop:x:113:
dovecot:x:114:
dovenull:x:115:
alice:x:1001:
bob:x:1002:
"""
HOSTS = """\
127.0.0.1 localhost
::1 localhost
203.0.113.25 mx.example.com
2001:db8::25 mx.example.com
203.0.113.7 client.example.net
2001:db8::7 client.example.net
"""
MAIN = """\
myhostname = mx.example.com
mydestination = $myhostname, example.com, localhost
mynetworks = 127.0.0.0/8 [::ffff:127.0.0.0]/104 [::1]/128
inet_interfaces = all
inet_protocols = all
alias_maps = hash:/etc/aliases
alias_database = hash:/etc/aliases
mailbox_size_limit = 0
recipient_delimiter = +
smtpd_relay_restrictions = permit_mynetworks permit_sasl_authenticated defer_unauth_destination
maillog_file = /var/log/mail.log
"""
NETWORK = """\
ip link set lo up
ip netns add outside
ip link add eth0 type veth peer name eth0 netns outside
ip addr add 203.0.113.25/24 dev eth0
ip -6 addr add 2001:db8::25/64 dev eth0 nodad
ip link set eth0 up
ip -n outside link set lo up
ip -n outside addr add 203.0.113.7/24 dev eth0
ip -n outside -6 addr add 2001:db8::7/64 dev eth0 nodad
ip -n outside link set eth0 up
hostname mx.example.com
newaliases
touch /run/machine-is-up
exec sleep infinity
"""
OUTSIDE = [
    *("ip", "netns", "exec", "outside", "unshare", "--uts", "sh", "-c"),
    *('hostname client.example.net; exec "$@"', "sh"),
]


@dataclass(frozen=True)
class Machine:
    """A machine; `folder` has its /etc, /var, /home, /opt and /run, `pid` its first process."""

    folder: Path
    pid: int

    def run(self, commands: str, *, outside: bool = False) -> subprocess.CompletedProcess[str]:
        """Run commands as root in a shell that stops at the first failure; return the output."""
        shell = ["sh", "-e", "-c", f"exec 2>&1\ncd /root\n{commands}"]
        host = OUTSIDE if outside else []
        return subprocess.run(
            ["nsenter", "-t", str(self.pid), "-m", "-n", "-p", "-u", *host, *shell],
            env={"PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            errors="replace",
            timeout=COMMAND_TIMEOUT,
            check=False,
        )

    def path(self, name: str) -> Path:
        """Return a path of this system at which a file of the machine can be read."""
        return self.folder / name.lstrip("/")

    def write(self, name: str, text: str) -> None:
        """Write a file of the machine and create its folder."""
        self.path(name).parent.mkdir(parents=True, exist_ok=True)
        self.path(name).write_text(text)


@functools.cache
def why_not() -> str:
    """Return why such a machine cannot run here, or ""."""
    for name in PACKAGES:
        if reason := mounts.why_not(name):
            return reason
    if not Path(PYTHON).exists():
        return f"no machine of namespaces: {PYTHON} is missing"
    argv = ["unshare", "--net", "--pid", "--fork", "ip", "link", "set", "lo", "up"]
    try:
        done = subprocess.run(argv, capture_output=True, check=False)
    except OSError as error:
        return f"no machine of namespaces: {error}"
    return f"no machine of namespaces: {done.stderr.decode()}" if done.returncode else ""


@contextlib.contextmanager
def running() -> Iterator[Machine]:
    """Run a machine, and kill all its processes on exit.

    No mail server runs in it at first. Raise `peers.UnavailableError` if it is not available.
    """
    if reason := why_not():
        raise peers.UnavailableError(reason)
    with tempfile.TemporaryDirectory(prefix="machine-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        _lay_out(folder)
        namespaces = [
            "--mount",
            "--net",
            "--uts",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
        ]
        with subprocess.Popen(
            ["unshare", *namespaces, "sh", "-e", "-c", _mounts(folder) + NETWORK],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        ) as first:
            try:
                yield Machine(folder, _wait(first, folder))
            finally:
                first.send_signal(signal.SIGKILL)


def _wait(first: subprocess.Popen[bytes], folder: Path) -> int:
    deadline = time.monotonic() + START_TIMEOUT
    while not (folder / "run/machine-is-up").exists():
        if first.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError("the machine did not start")
        time.sleep(POLL)
    children = Path(f"/proc/{first.pid}/task/{first.pid}/children").read_text()
    return int(children.split()[0])


def _mounts(folder: Path) -> str:
    layers = [folder / "usr", *(peers.ROOT / name / "usr" for name in PACKAGES), "/usr"]
    lines = [f"mount -t overlay overlay -o lowerdir={':'.join(map(str, layers))} /usr"]
    lines += [
        f"mount --bind {shlex.quote(str(code))} {shlex.quote(str(folder / name))}"
        for name, code in CODE.items()
    ]
    lines += [f"mount --rbind {shlex.quote(str(folder / name))} /{name}" for name in FOLDERS]
    return "\n".join([*lines, "mount -t tmpfs tmpfs /tmp", "chmod 1777 /tmp", ""])


def _lay_out(folder: Path) -> None:
    folder.chmod(0o755)
    for name in (*FOLDERS, "usr/bin", "usr/local/bin", *CODE):
        (folder / name).mkdir(parents=True)
    _write_etc(folder / "etc")
    _write_var(folder / "var")
    for number, user in ((1001, "alice"), (1002, "bob")):
        (folder / "home" / user).mkdir(mode=0o700)
        shutil.chown(folder / "home" / user, number, number)
    _write_programs(folder)


def _write_etc(etc: Path) -> None:
    for name in ETC:
        if Path("/etc", name).exists():
            subprocess.run(["cp", "-a", f"/etc/{name}", etc], check=True)
    for name in ("postfix", "dovecot"):
        shutil.copytree(peers.ROOT / name / "etc" / name, etc / name, symlinks=True)
    for name, text in (
        ("passwd", ACCOUNTS),
        ("group", GROUPS),
        ("shadow", ""),
        ("gshadow", ""),
        ("hosts", HOSTS),
        ("aliases", "postmaster: alice\nabuse: alice\n"),
        ("mailname", "example.com\n"),
        ("resolv.conf", "nameserver 127.0.0.1\n"),
    ):
        (etc / name).write_text(text)
    defaults = peers.ROOT / "postfix/usr/share/postfix"
    shutil.copy(defaults / "master.cf.dist", etc / "postfix/master.cf")
    shutil.copy(defaults / "dynamicmaps.cf", etc / "postfix/dynamicmaps.cf")
    (etc / "postfix/main.cf").write_text((defaults / "main.cf.debian").read_text() + MAIN)
    shutil.copytree(
        peers.ROOT / "dovecot/usr/share/dovecot", etc / "dovecot", symlinks=True, dirs_exist_ok=True
    )
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=mx"),
            *("-keyout", etc / "dovecot/private/dovecot.key"),
            *("-out", etc / "dovecot/private/dovecot.pem"),
        ],
        capture_output=True,
        check=True,
    )
    (etc / "systemd/system").mkdir(parents=True)


def _write_var(var: Path) -> None:
    for name, owner, mode in (
        ("tmp", 0, 0o1777),
        ("log", 0, 0o755),
        ("mail", 0, 0o1777),
        ("lib", 0, 0o755),
        ("lib/postfix", 105, 0o755),
        ("lib/dovecot", 0, 0o755),
        ("lib/logrotate", 0, 0o755),
        ("spool", 0, 0o755),
        ("spool/postfix", 0, 0o755),
        ("spool/postfix/etc", 0, 0o755),
        ("spool/postfix/pid", 0, 0o755),
        ("spool/postfix/public", 105, 0o710),
        ("spool/postfix/maildrop", 105, 0o730),
        ("spool/postfix/private", 105, 0o700),
    ):
        (var / name).mkdir()
        (var / name).chmod(mode)
        shutil.chown(var / name, owner, {"public": 113, "maildrop": 113}.get(Path(name).name, 0))
    for name in ("hosts", "services", "resolv.conf", "nsswitch.conf", "localtime"):
        source = var.parent / "etc" / name  # what Debian copies into the chroot of Postfix
        if source.exists():
            shutil.copy(source, var / "spool/postfix/etc" / name)


def _write_programs(folder: Path) -> None:
    programs = {
        # The installation of dovecot-lmtpd writes this file.
        "usr/share/dovecot/protocols.d/lmtpd.protocol": "protocols = $protocols lmtp\n",
        "opt/gatepost/bin/gatepost": (
            "#!/bin/sh\n"
            "export PYTHONPATH=/opt/gatepost/src:/opt/gatepost/lib\n"
            f'exec {PYTHON} -m gatepost "$@"\n'
        ),
        "usr/bin/systemctl": f"#!{PYTHON}\n{(ROOT / 'tools/systemctl.py').read_text()}",
        "usr/bin/journalctl": (
            "#!/bin/sh\n"
            'case "$*" in *postfix*) cat /var/log/mail.log ;; *) cat /run/journal/gatepost ;;\n'
            "esac\n"
        ),
    }
    for name, text in programs.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)

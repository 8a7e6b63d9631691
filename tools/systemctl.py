"""Replace systemctl in the machine of tools/machine.py, which has no systemd.

    systemctl [daemon-reload | start | stop | restart | reload | enable --now] [UNIT]

Postfix and Dovecot are started by their own commands. Gatepost is started as its unit describes:
its user, its capabilities, its umask, its state folder, and a read-only file system. The command
waits for the notification READY=1, as systemd does. Other settings of the unit have no effect.
"""

from __future__ import annotations

import grp
import os
import pwd
import re
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

UNITS = Path("/etc/systemd/system")
JOURNAL = Path("/run/journal")
NOTIFY = Path("/run/notify")
PATIENCE = 60.0
OTHERS = {
    "postfix": {"start": "postfix start", "stop": "postfix stop", "reload": "postfix reload"},
    "systemd-journald": dict.fromkeys(("start", "stop", "reload"), "true"),
    "dovecot": {"start": "dovecot", "stop": "doveadm stop", "reload": "doveadm reload"},
}


def main(words: list[str]) -> int:
    """Run one command and return its exit status."""
    action, *units = [word for word in words if not word.startswith("-")]
    if action == "daemon-reload":
        return 0
    steps = {"restart": ["stop", "start"], "enable": ["start"], "disable": ["stop"]}
    return max(
        do(step, unit.removesuffix(".service"))
        for unit in units
        for step in steps.get(action, [action])
    )


def do(action: str, name: str) -> int:
    """Do one step for one unit."""
    if name in OTHERS:
        with tempfile.TemporaryFile("w+") as output:  # a daemon would keep a pipe open
            done = subprocess.run(
                OTHERS[name][action], shell=True, stdout=output, stderr=output, check=False
            )
            output.seek(0)
            print(output.read() if done.returncode else "", end="")
        return done.returncode if action != "stop" else 0
    return {"start": start, "stop": stop, "reload": reload}[action](name)


def settings(name: str) -> dict[str, list[str]]:
    """Return the settings of a unit; the values of each in order, those of drop-ins last."""
    found: dict[str, list[str]] = {}
    files = [UNITS / f"{name}.service", *sorted((UNITS / f"{name}.service.d").glob("*.conf"))]
    for file in files:
        for key, value in re.findall(r"^(\w+)=(.*)$", file.read_text(), re.MULTILINE):
            if value:
                found.setdefault(key, []).append(value)
            else:
                found.pop(key, None)
    return found


def start(name: str) -> int:
    """Start the service and wait until it is ready."""
    unit = settings(name)
    JOURNAL.mkdir(exist_ok=True)
    for command in unit.get("ExecStartPre", []):
        if status := subprocess.run(confined(unit, command), check=False).returncode:
            return status
    NOTIFY.unlink(missing_ok=True)
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready,
        log_file(name).open("ab") as log,
    ):
        ready.bind(str(NOTIFY))
        NOTIFY.chmod(0o777)
        ready.settimeout(1)
        process = subprocess.Popen(
            confined(unit, unit["ExecStart"][-1]),
            env={"PATH": "/usr/bin:/bin", "NOTIFY_SOCKET": str(NOTIFY)},
            umask=int(unit.get("UMask", ["022"])[-1], 8),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            start_new_session=True,
        )
        (JOURNAL / f"{name}.pid").write_text(str(process.pid))
        while process.poll() is None:
            try:
                if b"READY=1" in ready.recv(4096):
                    return 0
            except TimeoutError:
                continue
    print(f"Job for {name}.service failed:", log_file(name).read_text(), sep="\n")
    return 1


def log_file(name: str) -> Path:
    """Return the file for standard error: that of the unit, or the journal of the machine."""
    kind, _, path = settings(name).get("StandardError", [""])[-1].partition(":")
    return Path(path) if kind == "append" else JOURNAL / name


def confined(unit: dict[str, list[str]], command: str) -> list[str]:
    """Return a command that runs as the user of the unit, with its capabilities and folders."""
    user = pwd.getpwnam(unit["User"][-1])
    owned = [
        *owned_folder(unit, "StateDirectory", Path("/var/lib"), user),
        *owned_folder(unit, "LogsDirectory", Path("/var/log"), user),
    ]
    writable = [*owned, *" ".join(unit.get("ReadWritePaths", [])).split()]
    steps = [f"mount --bind {path} {path}" for path in writable]
    steps += [
        f"mount -o remount,bind,ro {path}" for path in ("/usr", "/etc", "/var", "/opt", "/run")
    ]
    steps += ["mount -t tmpfs -o mode=1777 tmpfs /tmp", "mount -t tmpfs tmpfs /home"]
    groups = [
        user.pw_gid,
        *(
            grp.getgrnam(one).gr_gid
            for one in " ".join(unit.get("SupplementaryGroups", [])).split()
        ),
    ]
    capabilities = " ".join(unit.get("AmbientCapabilities", [])).lower().replace("cap_", "+")
    caps = capabilities.replace(" ", ",")
    limits = ["--inh-caps", f"-all,{caps}", "--ambient-caps", f"-all,{caps}"] if caps else []
    become = [
        *("setpriv", "--reuid", str(user.pw_uid), "--regid", str(user.pw_gid)),
        *("--groups", ",".join(map(str, groups)), "--no-new-privs", *limits),
    ]
    text = f"{' && '.join(steps)} && exec {shlex.join(become)} {command.lstrip('-')}"
    return ["unshare", "--mount", "sh", "-c", text]


def owned_folder(
    unit: dict[str, list[str]], key: str, parent: Path, user: pwd.struct_passwd
) -> list[str]:
    """Create the folder that a unit names for its user, if it names one; return its path."""
    if key not in unit:
        return []
    folder = parent / unit[key][-1]
    folder.mkdir(exist_ok=True)
    os.chown(folder, user.pw_uid, user.pw_gid)
    folder.chmod(int(unit.get(f"{key}Mode", ["0755"])[-1], 8))
    return [str(folder)]


def main_pid(name: str) -> int:
    """Return the process of the service, or 0 if it has ended."""
    file = JOURNAL / f"{name}.pid"
    status = Path(f"/proc/{file.read_text() if file.exists() else 0}/status")
    is_running = status.exists() and "\nState:\tZ" not in status.read_text()
    return int(file.read_text()) if is_running else 0


def stop(name: str) -> int:
    """Stop the service and wait for its end."""
    if pid := main_pid(name):
        os.kill(pid, signal.SIGTERM)
        _wait(lambda: not main_pid(name))
    return 0


# The end of a reload of the server; a list or a certificate is read again at any time.
_RELOADED = re.compile(r"(?<!list )(?<!certificate )(reloaded|reload failed)")


def reload(name: str) -> int:
    """Run ExecReload and wait for its result in the log."""
    unit, before = settings(name), len(log_text(name))
    for command in unit["ExecReload"]:
        text = command.replace("$MAINPID", str(main_pid(name)))
        if status := subprocess.run(text, shell=True, check=False).returncode:
            return status
    _wait(lambda: _RELOADED.search(log_text(name)[before:]))
    return 0


def log_text(name: str) -> str:
    """Return standard error of the service, and the current files in its folder of logs."""
    folders = settings(name).get("LogsDirectory", [])
    files = [file for one in folders for file in sorted(Path("/var/log", one).glob("*.log"))]
    return "".join(file.read_text() for file in [log_file(name), *files])


def _wait(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Real servers with one configuration: qpsmtpd, Haraka, and Gatepost with what was imported."""

import contextlib
import getpass
import os
import re
import shutil
import smtplib
import sys
from pathlib import Path

from tools import peers
from tools.daemon import HOST, free_port, greeting

GATEPOST = Path(sys.executable).with_name("gatepost")
ADDRESS = re.compile(r'address = "[^"]*"')
REFUSED = 400
CONTENT = b"Subject: sample\r\n\r\ntext\r\n"


@contextlib.contextmanager
def qpsmtpd(folder):
    """Run qpsmtpd with the configuration in a folder; yield its port."""
    program, modules = peers.find("qpsmtpd"), peers.find("net-ip")
    paths = f"{program.env['PERL5LIB']}:{modules.env['PERL5LIB']}".split(":")
    # Perl's taint mode, which the program demands, ignores PERL5LIB.
    includes = [word for path in paths for word in ("-I", path)]
    script = peers.ROOT / "qpsmtpd/usr/bin/qpsmtpd-forkserver"
    port = free_port()
    options = ["-l", HOST, "-p", port, "-u", getpass.getuser(), "--no-rdns"]
    argv = program.argv("-T", *includes, script, *map(str, options))
    env = program.env | {"QPSMTPD_CONFIG": str(folder / "config")}
    with greeting(argv, env, folder / "log", port):
        yield port


@contextlib.contextmanager
def haraka(folder):
    """Run Haraka with a folder and its own connection.ini, on a free port; yield the port."""
    program, port = peers.find("haraka"), free_port()
    own = peers.ROOT / "haraka/node_modules/Haraka/config/connection.ini"
    shutil.copy(own, folder / "config")
    (folder / "config/smtp.ini").write_text(f"listen={HOST}:{port}\nnodes=0\n")
    with greeting(program.argv("-c", folder), program.env, folder / "log", port):
        yield port


@contextlib.contextmanager
def gatepost(folder):
    """Serve the folder of an import, on a free port; yield the port."""
    port, file = free_port(), folder / "gatepost.toml"
    text, count = ADDRESS.subn(f'address = "{HOST}:{port}"', file.read_text())
    assert count == 1
    file.write_text(text)
    argv = [str(GATEPOST), "serve", "-c", str(file)]
    with greeting(argv, os.environ, folder / "log", port):
        yield port


def outcomes(port, client, sender, recipients):
    """Ask for recipients and for DATA; return the command that refused each of them, or "354"."""
    with smtplib.SMTP(HOST, port, "client.example", source_address=(client, 0)) as connection:
        connection.ehlo()
        if connection.mail(sender)[0] >= REFUSED:
            return ["rcpt"] * len(recipients)
        found = ["rcpt" if connection.rcpt(one)[0] >= REFUSED else "" for one in recipients]
        data, _ = connection.docmd("DATA")
        connection.close()  # nothing is delivered
        return [one or ("354" if data == 354 else "data") for one in found]


def send(port, sender, recipient):
    with smtplib.SMTP(HOST, port, "client.example") as connection:
        connection.sendmail(sender, [recipient], CONTENT)

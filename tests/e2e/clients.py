"""Independent mail clients with the same call: `CLIENTS[name](port, folder, message)`.

A client sends all messages of a call on one connection, if it can, and returns its outcome.
"""

import asyncio
import json
import os
import smtplib
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.net import authority
from tools import peers

TIMEOUT = 60  # seconds for one run of a program


class Outcome(NamedTuple):
    """The result of a client: its success, and its output with the replies of the server."""

    sent: bool
    output: str


@dataclass(frozen=True)
class Message:
    """A message to send: content with CRLF line ends, without dot-stuffing."""

    recipients: tuple[str, ...]
    content: bytes
    sender: str = "sender@client.example"

    @property
    def is_international(self):
        return not "".join((self.sender, *self.recipients)).isascii()


def program(name):
    """Return a program that runs, or skip the test with the reason."""
    command = peers.find(name)
    if command is None:
        pytest.skip(f"{name} is missing: {peers.missing([name])[name]}")
    return command


def run(name, *arguments, given=b"", **variables):
    command = program(name)
    done = subprocess.run(
        command.argv(*arguments),
        env={**command.env, "LC_ALL": "C.UTF-8", **variables},
        input=given,
        capture_output=True,
        timeout=TIMEOUT,
        check=False,
    )
    output = (done.stdout + done.stderr).decode("utf-8", "replace")
    return Outcome(done.returncode == 0, output)


def curl(port, folder, *messages, tls="none", options=()):
    arguments = []
    scheme = "smtps" if tls == "implicit" else "smtp"
    trust = [] if tls == "none" else ["--ssl-reqd", "--cacert", folder / "ca.pem"]
    for number, message in enumerate(messages):
        file = folder / f"curl{number}"
        file.write_bytes(message.content)
        arguments += ["--next"] if number else []
        arguments += ["-sv", *trust, *options, "--mail-from", message.sender, "--upload-file", file]
        for recipient in message.recipients:
            arguments += ["--mail-rcpt", recipient]
        arguments.append(f"{scheme}://127.0.0.1:{port}/client.example")
    return run("curl", *arguments)


def swaks(port, folder, message, *options, tls="none"):
    """Run swaks, which adds a CRLF at the end of the content."""
    trust = ["--tls-verify", f"--tls-ca-path={folder / 'ca.pem'}"]
    encrypted = {"none": [], "starttls": ["--tls", *trust], "implicit": ["--tlsc", *trust]}
    file = folder / "swaks"
    file.write_bytes(message.content.removesuffix(b"\r\n"))
    return run(
        "swaks",
        f"--server=127.0.0.1:{port}",
        "--ehlo=client.example",
        f"--from={message.sender}",
        f"--to={','.join(message.recipients)}",
        f"--data=@{file}",
        *encrypted[tls],
        *options,
    )


def msmtp(port, folder, message, *options, tls="none"):
    """Run msmtp, which expects lines that end with LF."""
    return run(
        "msmtp",
        f"--file={os.devnull}",
        "--host=localhost",
        f"--port={port}",
        "--domain=client.example",
        f"--tls={'off' if tls == 'none' else 'on'}",
        f"--tls-starttls={'on' if tls == 'starttls' else 'off'}",
        f"--tls-trust-file={folder / 'ca.pem'}",
        "--set-from-header=off",
        "--set-date-header=off",
        "--set-msgid-header=off",
        f"--from={message.sender}",
        *options,
        "--",
        *message.recipients,
        given=message.content.replace(b"\r\n", b"\n"),
    )


def smtp_source(port, folder, message, *options):
    """Run smtp-source, which expects lines that end with LF and adds an empty one (see ADDED)."""
    file = folder / "smtp-source"
    file.write_bytes(message.content.replace(b"\r\n", b"\n"))
    return run(
        "smtp-source",
        f"-F{file}",
        f"-f{message.sender}",
        f"-t{message.recipients[0]}",
        *options,
        f"127.0.0.1:{port}",
    )


def python(port, _folder, *messages, tls="none", login=()):
    context = authority.client_context()
    try:
        with (
            smtplib.SMTP_SSL("localhost", port, "client.example", context=context)
            if tls == "implicit"
            else smtplib.SMTP("127.0.0.1", port, "client.example")
        ) as client:
            if tls == "starttls":
                client._host = "localhost"
                client.starttls(context=context)
            if login:
                client.login(*login)
            for message in messages:
                options = ["SMTPUTF8"] if message.is_international else []
                client.sendmail(message.sender, message.recipients, message.content, options)
    except smtplib.SMTPResponseException as error:
        return Outcome(False, f"{error.smtp_code} {error.smtp_error.decode()}")
    except smtplib.SMTPRecipientsRefused as error:
        return Outcome(False, str(error))
    return Outcome(True, "")


def aio(port, _folder, *messages, tls="none", login=()):
    aiosmtplib = pytest.importorskip("aiosmtplib")

    async def send():
        client = aiosmtplib.SMTP(
            hostname="127.0.0.1",
            port=port,
            local_hostname="client.example",
            use_tls=tls == "implicit",
            start_tls=tls == "starttls",
            tls_context=None if tls == "none" else authority.client_context(),
        )
        await client.connect()
        socket = client.get_transport_info("socket")
        try:
            async with client:
                if login:
                    await client.login(*login)
                for message in messages:
                    options = ["SMTPUTF8"] if message.is_international else []
                    await client.sendmail(
                        message.sender, message.recipients, message.content, mail_options=options
                    )
        finally:
            while socket.fileno() >= 0:  # noqa: ASYNC110 - closed some turns of the loop later
                await asyncio.sleep(0)

    try:
        asyncio.run(send())
    except aiosmtplib.SMTPResponseException as error:
        return Outcome(False, f"{error.code} {error.message}")
    return Outcome(True, "")


def nodemailer(port, _folder, *messages):
    mails = [
        {
            "envelope": {"from": message.sender, "to": message.recipients},
            "raw": message.content.decode("latin-1"),
        }
        for message in messages
    ]
    script = Path(__file__).with_name("nodemailer.js")
    return run("nodemailer", script, str(port), given=json.dumps(mails).encode())


CLIENTS = {
    "curl": curl,
    "swaks": swaks,
    "msmtp": msmtp,
    "smtp-source": smtp_source,
    "smtplib": python,
    "aiosmtplib": aio,
    "nodemailer": nodemailer,
}
# Octets that a client adds to the content.
ADDED = {"smtp-source": b"\r\n"}
REUSING = {name: CLIENTS[name] for name in ("curl", "smtplib", "aiosmtplib", "nodemailer")}
UTF8_CLIENTS = ("curl", "smtplib", "aiosmtplib", "nodemailer")

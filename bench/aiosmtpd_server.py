"""Run aiosmtpd in its fastest set-up: uvloop and a handler that discards; optionally refuse DATA.

Runs under the Python of .peers/aiosmtpd, not the project's: ``python aiosmtpd_server.py PORT
accept|refuse [starttls|implicit CERT KEY]``. aiosmtpd has no hook before the content, so the
refusal replaces its DATA command, which is the least work possible.
"""

from __future__ import annotations

import asyncio
import ssl
import sys
from typing import Any

import uvloop  # type: ignore[import-not-found,unused-ignore]
from aiosmtpd.smtp import SMTP  # type: ignore[import-not-found,unused-ignore]


class Discard:
    """Accept every message and discard it."""

    async def handle_DATA(self, *_: Any) -> str:  # noqa: N802 - aiosmtpd's name for the hook
        """Return the reply to the end of data."""
        return "250 2.0.0 Ok"


class Refuse(SMTP):  # type: ignore[misc,unused-ignore]
    """Refuse every DATA command."""

    async def smtp_DATA(self, _: str) -> None:  # noqa: N802 - aiosmtpd's name for the command
        """Send the reply to DATA."""
        await self.push("554 5.7.1 Refused")


KINDS = {"accept": SMTP, "refuse": Refuse}


def context(cert: str, key: str) -> ssl.SSLContext:
    """Return the TLS context of the server."""
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    made.load_cert_chain(cert, key)
    return made


async def main(port: int, kind: str, mode: str = "none", *files: str) -> None:
    """Serve until the process is ended."""
    handler = Discard()
    tls = context(*files) if files else None
    options = {"hostname": "bench.example", "enable_SMTPUTF8": True}
    if mode == "starttls":
        options["tls_context"] = tls
    server = await asyncio.get_running_loop().create_server(
        lambda: KINDS[kind](handler, **options),
        "127.0.0.1",
        port,
        ssl=tls if mode == "implicit" else None,
        backlog=1024,
    )
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.install()
    asyncio.run(main(int(sys.argv[1]), *sys.argv[2:]))

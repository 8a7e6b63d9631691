"""Refuse messages with viruses, with ClamAV's clamd.

    [[plugin]]
    use = "plugins/clamd_scan.py"
    timeout = "60s"
    options = { socket = "/run/clamav/clamd.ctl" }

The message is sent with the edits of other plugins. If clamd does not answer, or a message is
larger than its `StreamMaxLength`, the message is deferred; see `on_error`. Set `StreamMaxLength` to
at least `limits.message_size`. Limit: the message is in memory until it is sent.
"""

import asyncio
from contextlib import closing

from gatepost import Decision, MessageTransaction, Plugin, defer, deny


class ClamdScan(Plugin):
    """Refuses a message if clamd finds something."""

    class Options(Plugin.Options):
        """`socket` is the Unix socket of clamd, its `LocalSocket`."""

        socket: str = "/run/clamav/clamd.ctl"

    async def on_message(self, tx: MessageTransaction) -> Decision | None:
        """Send the pieces of the message; raises OSError without clamd, KeyError if it is not."""
        reader, writer = await asyncio.open_unix_connection(self.options.socket)
        with closing(writer):
            writer.write(b"zINSTREAM\0")
            pieces = filter(None, tx.message)  # an empty piece would be the end
            writer.writelines(len(piece).to_bytes(4) + piece for piece in pieces)
            writer.write(bytes(4))
            answer = (await reader.read()).decode().removeprefix("stream: ").rstrip("\0")
        decide = {"OK": None, "FOUND": deny, "ERROR": defer}[answer.rpartition(" ")[2]]
        return decide(f"virus scan: {answer}", reason="clamd") if decide else None

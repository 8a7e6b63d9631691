"""Verify DKIM signatures (RFC 6376) with dkimpy, and add a result for each of them.

    [[plugin]]
    use = "plugins/dkim_check.py"
    on_error = "skip"

Install it with `pip install dkimpy`. It computes, so it runs in threads of this plugin. Keys come
from the resolver of the server. No message is refused, because a broken signature is the same as
none (section 6.1); other plugins read the results. With `on_error = "skip"` a message has no result
if dkimpy cannot parse it, or if a key cannot be looked up.
"""

# dkimpy has no types.
# pyright: reportMissingImports=false, reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

import asyncio

import dkim

from gatepost import MessageTransaction, NoSuchNameError, Plugin, blocking


class DkimCheck(Plugin):
    """Adds the results `dkim`, for the first five signatures."""

    async def start(self) -> None:
        """Store the event loop, which looks up the keys."""
        self.loop = asyncio.get_running_loop()

    @blocking
    def on_message(self, tx: MessageTransaction) -> None:
        """Verify the content as the client sent it."""
        message = dkim.DKIM(b"".join(tx.message.content()))
        names = [name.lower() for name, _ in message.headers]
        for index in range(min(5, names.count(b"dkim-signature"))):
            try:
                value = "pass" if message.verify(index, self._key) else "fail"
            except (dkim.DKIMException, NoSuchNameError, ValueError):
                value = "permerror"
            tx.results.add("dkim", value, domain=str(message.domain or b"", "utf-8", "replace"))

    def _key(self, name: bytes, timeout: int) -> bytes:
        found = asyncio.run_coroutine_threadsafe(self.resolver.txt(name.decode()), self.loop)
        return "".join(found.result(timeout)).encode()

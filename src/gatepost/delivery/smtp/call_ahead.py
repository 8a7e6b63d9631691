"""Call-ahead: asks the next hop whether it accepts a recipient, before there is a message.

MAIL with the real reverse-path, RCPT and RSET go in one group on a connection of the pool. Only a
5yz reply to RCPT is a refusal. Anything else (4yz, no connection, a timeout) decides nothing.

Results are kept for a while, refusals for a shorter time. Each is for one pair of reverse-path and
recipient: if a next hop refuses a forged sender, the mailbox must not be refused to other senders.

Limits: MAX_KEPT results, of which the least recently used is dropped first; PATIENCE for the whole
call-ahead.
"""

import asyncio
from collections import OrderedDict

from gatepost.delivery.smtp import errors
from gatepost.delivery.smtp.connection.envelope import make_mail, make_rcpt
from gatepost.delivery.smtp.connection.link import Link
from gatepost.delivery.smtp.relay import Relay
from gatepost.delivery.target import DeliveryError
from gatepost.model.reply import Reply
from gatepost.model.session import Recipient, Transaction
from gatepost.wire import events as e

MAX_KEPT = 10_000
# Seconds. The client waits for the reply to RCPT; without a result the recipient is accepted.
PATIENCE = 10.0

_Pair = tuple[str, str]
_RSET = e.Rset()


def _pair(tx: Transaction, recipient: Recipient) -> _Pair:
    return str(tx.reverse_path), str(recipient.address)


class ResultCache:
    """The results for pairs: a refusal, or None for an accepted recipient."""

    def __init__(self, keep: float, keep_refused: float) -> None:
        self._keep = keep
        self._keep_refused = keep_refused
        self._kept: OrderedDict[_Pair, tuple[float, Reply | None]] = OrderedDict()

    def find(self, pair: _Pair, now: float) -> tuple[Reply | None] | None:
        """Return the result in a tuple; None if there is no current result."""
        found = self._kept.get(pair)
        if found is None:
            return None
        until, reply = found
        if until <= now:
            del self._kept[pair]
            return None
        self._kept.move_to_end(pair)
        return (reply,)

    def keep(self, pair: _Pair, reply: Reply | None, now: float) -> None:
        """Store a result."""
        self._kept[pair] = now + (self._keep if reply is None else self._keep_refused), reply
        self._kept.move_to_end(pair)
        if len(self._kept) > MAX_KEPT:
            self._kept.popitem(last=False)


class CallAhead:
    """Asks the next hop of a relay."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay
        options = relay.options
        self._results = ResultCache(options.verify_keep, options.verify_keep_refused)

    def known(self, tx: Transaction, recipient: Recipient) -> tuple[Reply | None] | None:
        """Return the kept result for a recipient, in a tuple; None if there is none."""
        return self._results.find(_pair(tx, recipient), asyncio.get_running_loop().time())

    async def verify(self, tx: Transaction, recipient: Recipient) -> Reply | None:
        """Return the next hop's refusal; None if it accepts the recipient or cannot be asked."""
        found = self.known(tx, recipient)
        if found is not None:
            return found[0]
        now = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(PATIENCE):
                reply = await self._relay.use(
                    tx.session, lambda link: self._ask(link, tx, recipient)
                )
        except (DeliveryError, TimeoutError):
            return None
        if reply is None or 400 <= reply.code < 500:
            return None
        refusal = reply if reply.code >= 500 else None
        self._results.keep(_pair(tx, recipient), refusal, now)
        return refusal

    async def _ask(self, link: Link, tx: Transaction, recipient: Recipient) -> Reply | None:
        """Return the reply to RCPT; None if it is not about the recipient."""
        offered = link.wire.extensions
        commands: list[e.Event] = [_RSET] if link.dirty else []
        at = len(commands)
        commands += (make_mail(tx, [recipient], offered), make_rcpt(recipient, offered), _RSET)
        replies = await link.exchange(commands, self._relay.options.command_timeout)
        if replies[at].code >= 400:
            raise errors.mail_refused(replies[at], link.name)
        if len(replies) < len(commands):
            return None
        return replies[at + 1]

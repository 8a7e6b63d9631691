"""Asking the next hop whether it takes a recipient, before there is a message (call-ahead).

MAIL with the real reverse-path, RCPT and RSET in one group on a connection of the pool. Only a 5yz
to RCPT is a refusal; with anything else – 4yz, no connection, no answer in time – nobody can say.

Answers are kept for a while, those of a refusal more briefly, each for just this pair of reverse-
path and recipient: a next hop that refuses a forged sender must not have a mailbox refused to
everybody.

Limits: MAX_KEPT answers, the one used longest ago is dropped first; PATIENCE for all of it.
"""

import asyncio
from collections import OrderedDict

from gatepost.delivery.smtp.envelope import make_mail, make_rcpt
from gatepost.delivery.smtp.hop import Hop
from gatepost.delivery.smtp.link import Link
from gatepost.delivery.smtp.relay import Relay
from gatepost.delivery.smtp.settings import Settings
from gatepost.delivery.target import DeliveryError
from gatepost.model.reply import Reply
from gatepost.model.session import Recipient, Transaction
from gatepost.wire import events as e

MAX_KEPT = 10_000
# A client waits for RCPT; what is not known by then, the message itself will show.
PATIENCE = 10.0

_Pair = tuple[str, str]
_RSET = e.Rset()


class Answers:
    """What a next hop has said of whom: a refusal, or None for a recipient it takes."""

    def __init__(self, keep: float, keep_refused: float) -> None:
        self._keep = keep
        self._keep_refused = keep_refused
        self._kept: OrderedDict[_Pair, tuple[float, Reply | None]] = OrderedDict()

    def find(self, pair: _Pair, now: float) -> tuple[Reply | None] | None:
        """Return what was said, in a tuple; None where nothing is known now."""
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
        """Remember what was said."""
        self._kept[pair] = now + (self._keep if reply is None else self._keep_refused), reply
        self._kept.move_to_end(pair)
        if len(self._kept) > MAX_KEPT:
            self._kept.popitem(last=False)


class VerifyingRelay(Relay):
    """A relay that also asks; see the module."""

    def __init__(self, hop: Hop, settings: Settings) -> None:
        super().__init__(hop, settings)
        options = settings.options
        self._answers = Answers(options.verify_keep, options.verify_keep_refused)

    async def verify(self, tx: Transaction, recipient: Recipient) -> Reply | None:
        """Return the next hop's refusal; None where it takes the recipient, or cannot say."""
        now = asyncio.get_running_loop().time()
        pair = str(tx.reverse_path), str(recipient.address)
        known = self._answers.find(pair, now)
        if known is not None:
            return known[0]
        try:
            async with asyncio.timeout(PATIENCE):
                reply = await self.use(tx.session, lambda link: self._ask(link, tx, recipient))
        except (DeliveryError, TimeoutError):
            return None
        if reply is None or 400 <= reply.code < 500:
            return None
        refusal = reply if reply.code >= 500 else None
        self._answers.keep(pair, refusal, now)
        return refusal

    async def _ask(self, link: Link, tx: Transaction, recipient: Recipient) -> Reply | None:
        """Return the answer to RCPT; None where it says nothing of the recipient."""
        offered = link.wire.extensions
        commands: list[e.Event] = [_RSET] if link.dirty else []
        at = len(commands)
        commands += (make_mail(tx, [recipient], offered), make_rcpt(recipient, offered), _RSET)
        replies = await link.exchange(commands, self.options.command_timeout)
        if len(replies) < len(commands) or replies[at].code >= 400:
            return None
        return replies[at + 1]

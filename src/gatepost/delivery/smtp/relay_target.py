"""The targets `smtp:`, `smtps:` and `lmtp:`, each one next hop."""

import stat
from collections.abc import Awaitable, Iterator
from typing import Self, cast

from gatepost.config.client import ClientConfig
from gatepost.delivery.smtp.call_ahead import CallAhead
from gatepost.delivery.smtp.hop import Hop, Scheme, parse_hop
from gatepost.delivery.smtp.relay import Relay
from gatepost.delivery.smtp.settings import ClientSettings
from gatepost.delivery.target import Delivery, Failures, Target, TargetSpec
from gatepost.model.reply import Reply
from gatepost.model.session import Recipient, Transaction


class RelayTarget(Target):
    """Delivers to one next hop, with call-ahead if the options have `verify`."""

    options_table = "client"

    def __init__(self, hop: Hop, settings: ClientSettings) -> None:
        self._relay = Relay(hop, settings)
        self._call_ahead = CallAhead(self._relay)
        self.final_delivery = hop.scheme == "lmtp"
        self.can_verify = settings.options.verify

    @classmethod
    def from_route(cls, spec: TargetSpec) -> Self:
        """Return the target for `smtp://HOST:PORT`, `lmtp:unix:PATH` and the like."""
        settings = ClientSettings.make(spec.options, spec.base, spec.hostname)
        return cls(parse_hop(cast("Scheme", spec.scheme), spec.text, spec.base), settings)

    def deliver(self, delivery: Delivery) -> Awaitable[Failures | None]:
        """Deliver a message in one transaction."""
        return self._relay.deliver(delivery)

    def known_reply(self, tx: Transaction, rcpt: Recipient) -> tuple[Reply | None] | None:
        """Return the answer of the next hop that is still valid, if any."""
        return self._call_ahead.known(tx, rcpt)

    async def verify(self, tx: Transaction, rcpt: Recipient) -> Reply | None:
        """Return the next hop's refusal of a recipient, if any."""
        return await self._call_ahead.verify(tx, rcpt)

    async def stop(self) -> None:
        """Close the connections."""
        await self._relay.stop()

    def warnings(self) -> Iterator[str]:
        """Yield warnings about mail and passwords that can be read on the way."""
        hop, settings = self._relay.hop, self._relay.settings
        if not hop.is_loopback:
            if settings.options.tls == "none" and hop.scheme != "smtps":
                yield f"client.tls is none: any host on the path to {hop} can read the mail"
            if settings.options.auth_in_clear:
                yield (
                    f"client.auth_in_clear is true: any host on the path to {hop} can read the"
                    " password"
                )
        yield from client_warnings(settings)


def client_warnings(settings: ClientSettings) -> Iterator[str]:
    """Yield warnings about options that do not depend on the next hop."""
    options: ClientConfig = settings.options
    if options.ca and options.tls != "verified":
        yield 'client.ca has no effect: expected tls = "verified"'
    path = settings.password_path
    mode = stat.S_IMODE(path.stat().st_mode) if path else 0
    if mode & stat.S_IRWXO:
        yield (
            f"client.password_file: {path}: mode {mode:o} gives access to all users, expected 600"
            " or 640"
        )

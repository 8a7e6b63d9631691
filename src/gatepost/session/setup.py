"""The configuration, ready for use by all sessions of a worker.

`gatepost.session.assemble` makes one per worker. Its lists follow their files; `storage_full` and
`queue` are set by the server.
"""

from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from gatepost.auth.authority import Authority
from gatepost.config.schema import LimitsConfig
from gatepost.delivery.routes import Router
from gatepost.delivery.target import DeliveryError
from gatepost.lists.addresses import ListSource
from gatepost.model.message import Message
from gatepost.model.reply import Reply
from gatepost.model.session import Hold, Recipient, Transaction
from gatepost.plugin.clock import Clock
from gatepost.plugin.host import PluginHost
from gatepost.plugin.lookups import Lookups
from gatepost.queue.dsn.notify import SuccessActions
from gatepost.registry.registry import Registry
from gatepost.session.destinations import Destinations
from gatepost.session.recorder import Recorder
from gatepost.session.traps.rule import TrapRule
from gatepost.tables.known import KnownTables
from gatepost.tables.tables import Tables


class Spool(Protocol):
    """Stores messages, see `gatepost.queue.queue`."""

    def put(
        self,
        tx: Transaction,
        recipients: Sequence[Recipient],
        message: Message,
        failures: Mapping[Recipient, DeliveryError] | None = None,
        *,
        hold: Hold | None = None,
    ) -> Awaitable[None]:
        """Store a message for recipients; raises `DeliveryError`, perhaps when awaited."""


class MailQueue(Spool, Protocol):
    """The queue, see `gatepost.queue.queue`."""

    @property
    def paths(self) -> Sequence[Path]:
        """The spool files that the queue owns."""

    def report_successes(
        self, tx: Transaction, message: Message, successes: SuccessActions
    ) -> Awaitable[None]:
        """Store success DSNs; raises `DeliveryError`, perhaps when awaited."""


@dataclass(eq=False)
class Setup:
    """Everything a session looks up.

    `known` has the lists of recipients that exist, `known_tables` the tables.
    With neither, every address of a local domain exists. `calls_ahead` is true if the next hop of a
    route can be asked about a recipient. `greetings` are by protocol; `keywords` are those
    that EHLO offers to every client, `offers` caches EHLO replies by the keywords beyond them.
    `folder` holds messages too large for memory. `destinations` makes the recipients that plugins
    add. `registry` has the registered traps. `tables` are
    those that are open. `queue` is None if there is no disk to keep it on; in
    tests, `memory` stands for it where plugins hold and submit mail. `storage_full` is true while
    messages in transit use up the space they may use. `lookups` is None if no plugin recognises
    local recipients. `refusal_delay` is in seconds.
    """

    hostname: str
    limits: LimitsConfig
    domains: Sequence[Any]
    known: Sequence[ListSource]
    subaddress: str
    traps: TrapRule
    plugins: PluginHost
    router: Router
    calls_ahead: bool
    clock: Clock
    recorder: Recorder
    folder: Path | None
    greetings: Mapping[str, Reply]
    keywords: tuple[str, ...]
    helo: Reply
    offers: dict[tuple[str, ...], Reply]
    destinations: Destinations
    registry: Registry
    tables: Tables
    known_tables: KnownTables
    queue: MailQueue | None = None
    memory: Spool | None = None
    storage_full: bool = False
    authority: Authority | None = None
    lookups: Lookups | None = None
    refusal_delay: float = 0.0

    @property
    def spool(self) -> Spool | None:
        """The place for mail that plugins hold or submit, None if there is none."""
        return self.queue if self.memory is None else self.memory

    def is_local(self, key: str) -> bool:
        """Return whether the domain with this key is local."""
        for source in self.domains:  # noqa: SIM110 - any() costs as much as all the rest of RCPT
            if key in source.current:
                return True
        return False

    @property
    def has_directory(self) -> bool:
        """Return whether a list, a table or a plugin has the recipients that exist."""
        return bool(self.known or self.known_tables) or self.lookups is not None

    def is_listed(self, key: str, user_key: str) -> bool:
        """Return whether a list has a mailbox, by its address with and without subaddress."""
        return any(source.current.find(key, user_key) is not None for source in self.known)

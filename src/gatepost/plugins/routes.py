"""Choose the route of each recipient from tables, or by its subaddress.

The names of routes are those in the configuration. A recipient that is in no table, and whose
subaddress has no route, keeps its usual one.

Trust: a subaddress is what any client sends. Tables are written by administrators: the name of a
route that does not exist defers the recipient.
"""

from collections.abc import Sequence

from gatepost import Decision, Plugin, Recipient, TableName, Transaction, defer, field
from gatepost.plugins._address_tables import AddressTables, key_of

_NAME = "routes"


class Routes(Plugin):
    """Adds the result `routes`: "chosen"."""

    after = frozenset({"aliases"})

    class Options(Plugin.Options):
        """The tables and subaddresses."""

        tables: tuple[TableName, ...] = ()
        """Tables of names of routes; the keys are addresses and "@example.com"."""
        routes: dict[str, str] = field(default_factory=dict)
        """Names of routes by address or "@example.com". They come before the tables."""
        tags: dict[str, str] = field(default_factory=dict)
        """Names of routes by subaddress, for recipients that are not found otherwise."""
        any_tag: str = ""
        """The name of the route for any other subaddress."""

        def __post_init__(self) -> None:
            if not (self.tables or self.routes or self.tags or self.any_tag):
                raise ValueError("expected tables, routes, tags or any_tag")
            for name in self.routes:
                key_of(name)

    def start(self) -> None:
        """Open the tables; raises ValueError for a route that does not exist."""
        options = self.options
        for name in (*options.routes.values(), *options.tags.values(), options.any_tag):
            self._check(name)
        own = {key_of(name): route for name, route in options.routes.items()}
        self._tables = AddressTables([self.table(one) for one in options.tables], own)
        self._tags = {name.lower(): route for name, route in options.tags.items()}

    def _check(self, name: str) -> None:
        if name and name not in self.server.routes:
            known = ", ".join(map(repr, self.server.routes)) or "no route has a name"
            raise ValueError(f"expected the name of a [[route]], found {name!r}: {known}")

    async def on_rcpt(self, tx: Transaction, rcpt: Recipient) -> Decision | None:
        """Choose the route of a recipient that the client has named."""
        try:
            await self._choose(tx, [rcpt])
        except ValueError as error:
            return self._give_up(tx, error)
        return None

    async def on_data(self, tx: Transaction) -> Decision | None:
        """Choose the routes of those that replace the recipients, such as members of an alias."""
        try:
            await self._choose(tx, [one for one in tx.recipients if not one.route])
        except ValueError as error:
            return self._give_up(tx, error)
        return None

    async def _choose(self, tx: Transaction, recipients: Sequence[Recipient]) -> None:
        """Choose routes; raises ValueError for a name in a table that is none of a route."""
        found = await self._tables.find((one.address for one in recipients), self.server)
        for rcpt in recipients:
            _, name = found.get(rcpt.address) or ("", self._by_tag(rcpt))
            if name:
                self._check(name)
                tx.choose_route(name, [rcpt])
                self._count(tx, name)

    def _by_tag(self, rcpt: Recipient) -> str:
        """Return the name of the route for a subaddress, "" without one."""
        tag = rcpt.address.key.rpartition("@")[0][len(rcpt.user) + 1 :]
        return self._tags.get(tag, self.options.any_tag) if tag else ""

    def _count(self, tx: Transaction, name: str) -> None:
        self.metrics.counter("chosen", route=name).inc()
        if tx.results.value(_NAME) is None:
            tx.results.add(_NAME, "chosen")

    def _give_up(self, tx: Transaction, error: ValueError) -> Decision:
        self.log_for(tx).error("route not chosen", problem=str(error))
        self.metrics.counter("failed").inc()
        return defer("No route for this recipient", code=451, enhanced="4.3.5", reason="no-route")

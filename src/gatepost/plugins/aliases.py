"""Send mail for aliases, virtual addresses and catch-alls to their members, from tables.

A recipient is looked up with its subaddress, without it, as a user of a local domain, and as
`@domain`. The values are expanded until they are no aliases. An address that is found exists.

Trust: see `_aliases`. Traps are what the client names: a member that is a trap is a usual address,
and a catch-all does not apply to a trap.

Limits: `depth` and `most`. A message that has passed this server PASSES times is not forwarded
again: two members that send back would double it each time.
"""

from collections.abc import Sequence

from gatepost import (
    Address,
    Decision,
    Lookup,
    MessageTransaction,
    Outcome,
    Plugin,
    Recipient,
    TableName,
    Transaction,
    UnavailableError,
    defer,
    deny,
    field,
    local,
)
from gatepost.plugins._address_tables import AddressTables, key_of
from gatepost.plugins._aliases import (
    AliasError,
    AliasKeys,
    Expansion,
    Found,
    Limits,
    Problem,
    check_target,
)
from gatepost.plugins._passes import passes

_NAME = "aliases"
# The note with the recipients that other plugins or the core have accepted.
_LEFT = "aliases left"
# A message arrives, is forwarded to a list, and comes back from it.
PASSES = 3
# Problems that are logged once by each worker.
_MOST_LOGGED = 1000


class Aliases(Plugin):
    """Adds the result `aliases`: "expanded"."""

    class Options(Plugin.Options):
        """The tables and their limits."""

        tables: tuple[TableName, ...] = ()
        """Tables of aliases, such as "sql:aliases". The first one that has a key counts."""
        aliases: dict[str, tuple[str, ...]] = field(default_factory=dict)
        """Aliases in the configuration, each with its members. They come before the tables."""
        mailboxes: tuple[TableName, ...] = ()
        """Tables of addresses that exist, besides the lists in `recipients.known`. A catch-all does
        not apply to them."""
        keep_tag: bool = True
        """Whether members get the subaddress of an alias that is found without it."""
        depth: int = 10
        """The number of levels of aliases that lead to aliases."""
        most: int = 100
        """The number of members of an alias, with those of aliases among them."""

        def __post_init__(self) -> None:
            if not (self.tables or self.aliases):
                raise ValueError("expected tables or aliases")
            if not (1 <= self.depth <= 100 and 1 <= self.most <= 10_000):
                raise ValueError("depth: expected 1 to 100, and most: 1 to 10000")
            for name, members in self.aliases.items():
                key_of(name)
                for one in members:
                    check_target(one)
                    key_of(one.removeprefix("\\"))

    def start(self) -> None:
        """Open the tables; raises ValueError for a specification that is wrong."""
        options = self.options
        own = {key_of(name): ", ".join(to) for name, to in options.aliases.items()}
        self._aliases = AddressTables([self.table(one) for one in options.tables], own)
        self._mailboxes = AddressTables([self.table(one) for one in options.mailboxes], {})
        self._limits = Limits(options.depth, options.most, options.keep_tag)
        self._logged: set[Problem] = set()

    async def on_lookup(self, tx: Transaction, rcpt: Recipient) -> Lookup | None:
        """Return that an alias exists."""
        keys = self._keys_for(tx, rcpt)
        found = await self._find(keys.all)
        return None if found.entry(keys) is None else local()

    async def on_rcpt(self, tx: Transaction, rcpt: Recipient) -> Decision | None:
        """Replace an alias by its members."""
        tx.notes[_NAME] = rcpt
        return await self._expand(tx, rcpt)

    def after_rcpt(self, tx: Transaction, rcpt: Recipient, outcome: Outcome) -> None:
        """Keep a recipient that was accepted before this plugin was asked, such as postmaster."""
        if outcome.reply.code < 300 and tx.notes.get(_NAME) is not rcpt:
            tx.notes.setdefault(_LEFT, []).append(rcpt)

    async def observe_data(self, tx: Transaction) -> None:
        """Replace the recipients that are left; `on_error` decides if that is not possible."""
        for rcpt in tx.notes.get(_LEFT, ()):
            if rcpt in tx.recipients and await self._expand(tx, rcpt) is not None:
                raise UnavailableError(f"{rcpt.address}: the alias cannot be expanded")

    async def _expand(self, tx: Transaction, rcpt: Recipient) -> Decision | None:
        """Replace a recipient; return the decision if that is not possible."""
        first = self._keys_for(tx, rcpt)
        expansion = Expansion(
            rcpt.address,
            lambda one: first if one is rcpt.address else self._keys(one),
            self._limits,
        )
        try:
            while not expansion.is_done:
                expansion.advance(await self._find(expansion.keys))
            self._log_problems(tx, expansion.problems)
            return self._replace(tx, rcpt, expansion.targets)
        except ValueError as error:
            return self._give_up(tx, rcpt, error)

    def _replace(
        self, tx: Transaction, rcpt: Recipient, targets: Sequence[Address]
    ) -> Decision | None:
        """Replace a recipient unless it stays; raises ValueError if a member has no route."""
        if [one.key for one in targets] == [rcpt.address.key]:
            return None
        if not targets:
            raise AliasError("empty", "no member of the alias can be used")
        tx.replace_recipient(rcpt, targets)
        if tx.results.value(_NAME) is None:
            tx.results.add(_NAME, "expanded")
        self.metrics.counter("expanded").inc()
        return None

    def _give_up(self, tx: Transaction, rcpt: Recipient, error: Exception) -> Decision:
        """Defer a recipient that cannot be expanded now: the administrator can repair it."""
        reason = error.reason if isinstance(error, AliasError) else "member"
        self.log_for(tx).error("alias not expanded", alias=rcpt.address, problem=str(error))
        self.metrics.counter("failed", reason=reason).inc()
        text = "Alias cannot be expanded"
        return defer(text, code=451, enhanced="4.3.5", reason=f"alias-{reason}")

    def _log_problems(self, tx: Transaction, problems: Sequence[Problem]) -> None:
        for one in problems:
            if one not in self._logged and len(self._logged) < _MOST_LOGGED:
                self._logged.add(one)
                self.log_for(tx).warning(
                    "member of alias not used", alias=one.alias, member=one.target, problem=one.text
                )

    def on_message(self, tx: MessageTransaction) -> Decision | None:
        """Refuse a message that has come back too often."""
        if tx.results.value(_NAME) is None:
            return None
        if passes(tx.message, self.server.hostname) < PASSES:
            return None
        text = "Mail loops back to this server by an alias"
        return deny(text, code=554, enhanced="5.4.6", reason="alias-loop")

    # Look-ups

    def _keys(self, address: Address) -> AliasKeys:
        """Return the keys of an address, without the catch-all for one that is known."""
        whole, user = address.key, self.server.user_of(address)
        name, _, domain = whole.rpartition("@")
        tag = name[len(user) :]
        names = (name, user) if tag else (name,)
        found = [f"{one}@{domain}" for one in names]
        if self.server.is_local(domain) and "@" not in name:
            found += names
        if not self.server.is_known(address):
            found.append(f"@{domain}")
        return AliasKeys(tuple(found), tag, (f"{user}@{domain}", user) if tag else ())

    def _keys_for(self, tx: Transaction, rcpt: Recipient) -> AliasKeys:
        """Return the keys of a recipient: no catch-all applies to a trap."""
        keys = self._keys(rcpt.address)
        hit = tx.trap_hits[-1] if tx.trap_hits else None
        if hit is None or hit.shadow or hit.address is not rcpt.address:
            return keys
        return keys._replace(all=tuple(key for key in keys.all if key[0] != "@"))

    async def _find(self, keys: Sequence[str]) -> Found:
        """Return the answer of all tables; raises `UnavailableError`."""
        own = [key for key in keys if key[0] != "@"]
        return Found(await self._aliases.values(keys), await self._mailboxes.values(own))

"""Add header fields with fixed text, or with facts about the client and the message."""

from gatepost import Decision, MessageTransaction, Plugin, deny
from gatepost.plugins._added_fields import Field, add, remove


class HeadersAdd(Plugin):
    """Adds fields at the end of the message."""

    after = frozenset({"score"})
    before = frozenset({"dkim_sign"})

    class Options(Plugin.Options):
        """The fields."""

        fields: tuple[Field, ...]
        """The fields to add, each with `name`, `value` (a template), and perhaps `score` (from how
        many points) and `results` (such as `{ spf = "fail" }`)."""
        keep: bool = False
        """Whether fields of these names that the client has sent stay, next to those of the
        server."""

    def on_message(self, tx: MessageTransaction) -> Decision | None:
        """Add the fields; refuse a message whose header is too long to remove others."""
        if not self.options.keep:
            try:
                remove(tx, dict.fromkeys(one.name for one in self.options.fields))
            except ValueError:
                return deny("Header is too long", code=552, enhanced="5.3.4", reason="long-header")
        self.metrics.counter("added").inc(add(self, tx, self.options.fields))
        return None

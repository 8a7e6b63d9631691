"""Mark messages with header fields for filters behind this server, by points and results.

Fields that a client has sent under these names are removed before other plugins add theirs.
"""

from gatepost import Decision, Headers, MessageTransaction, Plugin, deny
from gatepost.plugins._added_fields import Field, add, check_removed, remove


class Mark(Plugin):
    """Adds fields at the end of the message, behind the shipped plugins that find something."""

    after = frozenset({"score"})
    before = frozenset({"dkim_sign"})

    class Options(Plugin.Options):
        """The fields."""

        fields: tuple[Field, ...] = (
            Field(name="X-Spam-Flag", value="YES", score=5.0),
            Field(name="X-Spam-Level", value="{stars}", score=1.0),
            Field(name="X-Spam-Score", value="{score} {results}"),
        )
        """The fields to add, each with `name`, `value` (a template), and perhaps `score` (from how
        many points) and `results` (such as `{ spf = "fail" }`)."""
        remove: tuple[str, ...] = ("X-Spam-*",)
        """More names of fields that are removed if the client has sent them. A `*` at the end
        stands for any text."""

        def __post_init__(self) -> None:
            check_removed(self.remove)

    def on_headers(self, tx: MessageTransaction, _headers: Headers) -> Decision | None:
        """Remove forged fields; refuse a message whose header is too long for that."""
        names = [*dict.fromkeys(one.name for one in self.options.fields), *self.options.remove]
        try:
            removed = remove(tx, names)
        except ValueError:
            return deny("Header is too long", code=552, enhanced="5.3.4", reason="long-header")
        self.metrics.counter("removed").inc(removed)
        return None

    def on_message(self, tx: MessageTransaction) -> None:
        """Add the fields, instead of those that other plugins have added."""
        remove(tx, dict.fromkeys(one.name for one in self.options.fields))
        self.metrics.counter("added").inc(add(self, tx, self.options.fields))

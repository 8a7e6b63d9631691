"""The import of one server: the files that are read, and the draft that they fill.

A plugin of the server is `Used`: its name, its arguments and its place. What becomes of it is a
function for its row in the table of the server; plugins without one become a finding.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple, TypeAlias

from gatepost.config.relay import is_everything
from gatepost.migration.draft import Draft, ListFile
from gatepost.migration.findings import Findings
from gatepost.migration.networks import Network, parse_network
from gatepost.migration.rules import Rules
from gatepost.migration.source import Line, Source
from gatepost.migration.toml import Value

AUTHENTICATED = "authenticated"
# The plugins that a list of exempt clients applies to.
_EXEMPTING = frozenset(
    ("dnsbl", "rhsbl", "helo", "iprev", "sender_domain", "greylist", "headers", "spf", "regex")
)
_EXEMPT_BY_LIST = frozenset(("dnsbl", "greylist"))


class Used(NamedTuple):
    """A plugin that the server uses. `known` is its name in the table of equivalents."""

    name: str
    arguments: tuple[str, ...]
    place: str
    known: str = ""

    @property
    def options(self) -> Mapping[str, str]:
        """The arguments as names and values; a last name without a value is left out."""
        return dict(zip(self.arguments[::2], self.arguments[1::2], strict=False))

    def first(self, default: str = "") -> str:
        """Return the first argument."""
        return self.arguments[0] if self.arguments else default


class Job:
    """An import.

    `relay_for` and `exempt` are gathered from several files. With `rules_spare_relays` the rules of
    the plugin `regex` do not apply to clients that may relay.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self.findings: Findings = source.findings
        self.draft = Draft(source.findings)
        self.relay_for: list[str] = []
        self.exempt: list[str] = []
        self.rules_spare_relays = False
        self._rules: dict[str, Rules] = {}

    def networks(self, name: str) -> list[Network]:
        """Return the networks in a file; wrong lines become findings."""
        found = []
        for line in self.source.values(name):
            try:
                found.append(parse_network(line.text.split("#")[0].strip()))
            except ValueError as error:
                self.findings.bad_line(line.file, line.number, str(error))
        return found

    def relay_networks(self, name: str) -> list[Network]:
        """Return the networks that may relay; all addresses of the Internet are a finding."""
        found = self.networks(name)
        if any(map(is_everything, found)):
            text = "all addresses: an open relay is not taken over"
            self.findings.left(self.source.place(name), text, "relay.md#foreign-domains")
        return [one for one in found if not is_everything(one)]

    def add_list(
        self,
        name: str,
        convert: Callable[[Line], str],
        *,
        text: str,
        page: str,
        to: str = "",
        lines: Callable[[], Iterator[Line]] | None = None,
    ) -> None:
        """Add a list that is made of a file, under its own name unless another one is given."""
        if any(one.name == (to or name) for one in self.draft.lists):
            return  # two plugins of the server have the same list
        place = self.source.place(name)
        read = lines or (lambda: self.source.lines(name))
        made = ListFile(to or name, name, place, text, page, read, convert)
        self.draft.lists.append(made)

    def is_empty(self, name: str, used: Used, page: str) -> bool:
        """Return whether a file is missing or has no entry, and record it."""
        if self.source.value(name) is not None:
            return False
        self.findings.different(used.place, f"{used.name}: the list {name} is empty", page)
        return True

    def add_rules(self, name: str, where: str, convert: Callable[[str, Line, Rules], str]) -> None:
        """Add a file of rules for the plugin `regex`, made of a file that gives them its name."""
        rules = self._rules.setdefault(where, Rules(where))
        to = f"{name}.rules"
        self.add_list(
            name,
            lambda line: convert(name, line, rules),
            text=f"rules for the {where}",
            page="shipped/regex.md",
            to=to,
        )
        self.draft.append_option("regex", self.source.place(name), "files", to)

    def check(
        self, use: str, used: Used, options: Mapping[str, Value] | None = None, **keys: Value
    ) -> None:
        """Add a plugin for one of the server, and record it."""
        self.draft.plugin(use, used.place, options, **keys)
        shadow = ", in shadow mode" if keys.get("action") == "log" else ""
        self.findings.taken(used.place, f"{used.name}: the plugin {use}{shadow}", _page(use))

    def apply_exemptions(self) -> None:
        """Leave exempt clients out of the checks. Allow lists come before the other checks."""
        dnswl = self.draft.find_plugin("dnswl")
        if dnswl is not None:
            self.draft.plugins.remove(dnswl)
            self.draft.plugins.insert(0, dnswl)
        for table in self.draft.plugins:
            unless = self._unless(str(table.keys["use"]), has_allow_list=dnswl is not None)
            if unless:
                table.keys["unless"] = unless

    def _unless(self, use: str, *, has_allow_list: bool) -> dict[str, Value]:
        unless: dict[str, Value] = {}
        if use == "regex" and AUTHENTICATED in self.relay_for and self.rules_spare_relays:
            unless["authenticated"] = True
        relays = [one for one in self.relay_for if one != AUTHENTICATED]
        spared = relays if use == "regex" and self.rules_spare_relays else []
        if use in _EXEMPTING and [*self.exempt, *spared]:
            unless["networks"] = [*dict.fromkeys([*self.exempt, *spared])]
        if has_allow_list and use in _EXEMPT_BY_LIST:
            unless["results"] = {"dnswl": "pass"}
        return unless


def _page(use: str) -> str:
    return f"shipped/{use}.md"


Handler: TypeAlias = Callable[[Job, Used], None]

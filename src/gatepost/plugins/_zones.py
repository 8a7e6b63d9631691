"""The zones of DNS lists as options, and what their answers mean.

    zones = ["zen.example", "bl.example.net"]
    keys = { dqs = "file:dqs_key" }

    [plugin.options.zones]
    "zen.example" = { "127.0.0.2" = 4, "127.0.0.10-11" = 2, default = "deny" }
    "bl.example.net" = 3
    "{dqs}.dq.example" = { name = "dq", "127.0.0.0/28" = "deny" }

Security: the name that is looked up can contain the key of a customer. It is a `Secret`; `name` is
what logs, results and replies show, and `Zone.public` removes the key from the text of others.
Limits: MOST zones of a plugin, MOST_PATTERNS of a zone.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cached_property
from ipaddress import IPv4Network

import msgspec

from gatepost import Plugin, Reaction, Secret, field

MOST = 50
MOST_PATTERNS = 100

TableOfZone = Mapping[str, str | float]
Zones = tuple[str, ...] | dict[str, str | float | dict[str, str | float]]

_OCTET = r"(\*|[0-9]{1,3}(?:-[0-9]{1,3})?)"
_PATTERN = re.compile(rf"{_OCTET}\.{_OCTET}\.{_OCTET}\.{_OCTET}(?:&([0-9]{{1,3}}))?")
_KEY = re.compile(r"\{([A-Za-z0-9_-]+)\}")
_ZONE = re.compile(r"(?=.{1,200}\.?\Z)(?:[A-Za-z0-9_-]{1,63}\.)*[A-Za-z0-9_-]{1,63}\.?")
_EXPECTED = 'an answer such as "127.0.0.2", "127.0.0.10-11", "127.0.0.0/28", "127.0.*.3" or "&4"'


class Pattern(msgspec.Struct, frozen=True):
    """Answers of a list: the lowest and highest value of each octet.

    With `bits`, one of these bits of the last octet must be set.
    """

    octets: tuple[tuple[int, int], ...]
    bits: int = 0

    def matches(self, answer: str) -> bool:
        """Return whether an answer such as "127.0.0.2" is one of these."""
        found = tuple(map(int, answer.split(".")))
        if self.bits and not found[-1] & self.bits:
            return False
        return all(low <= one <= high for one, (low, high) in zip(found, self.octets, strict=True))


def parse_pattern(text: str) -> Pattern:
    """Return the pattern of a text; raises ValueError.

    The forms are "127.0.0.2", with a range or `*` as any octet, "127.0.0.0/28", and "127.0.0.*&4"
    or "&4" for lists that combine their answers by bits.
    """
    try:
        if "/" in text:
            network = IPv4Network(text)
            return Pattern(tuple(zip(network[0].packed, network[-1].packed, strict=True)))
        match = _PATTERN.fullmatch(f"127.*.*.*{text}" if text.startswith("&") else text)
        if match is not None:
            *octets, bits = match.groups()
            return Pattern(tuple(map(_range, octets)), _bits(bits))
    except ValueError:
        pass
    raise ValueError(f"expected {_EXPECTED}, found {text[:80]!r}")


def _range(text: str) -> tuple[int, int]:
    if text == "*":
        return 0, 255
    low, _, high = text.partition("-")
    found = int(low), int(high or low)
    if not found[0] <= found[1] <= 255:
        raise ValueError
    return found


def _bits(text: str | None) -> int:
    if text is None:
        return 0
    if not 1 <= int(text) <= 255:
        raise ValueError
    return int(text)


class Zone(msgspec.Struct, frozen=True):
    """One list.

    `zone` is the name that is looked up, `name` the one that may be shown. `rules` are reactions by
    pattern, `otherwise` is that about answers that no pattern matches. `test` is an entry that the
    list must have, "" for none; None is the usual one.
    """

    zone: Secret
    name: str
    rules: tuple[tuple[Pattern, Reaction], ...]
    otherwise: Reaction
    test: str | None = None
    secrets: tuple[Secret, ...] = ()

    def reactions(self, answers: Iterable[str]) -> tuple[Reaction, ...]:
        """Return the reactions about the answers of the list; each pattern counts once."""
        found = tuple(answers)
        matching = tuple(
            reaction for pattern, reaction in self.rules if any(map(pattern.matches, found))
        )
        return matching or (self.otherwise,)

    def public(self, text: str) -> str:
        """Return a text without the keys in the name of the zone."""
        for secret in self.secrets:
            text = re.sub(re.escape(secret), "<secret>", text, flags=re.IGNORECASE)
        return text


def parse_zones(
    given: Sequence[str] | Mapping[str, str | float | TableOfZone],
    keys: Mapping[str, Secret],
    listed: Reaction,
) -> tuple[Zone, ...]:
    """Return the zones of the options; raises ValueError.

    `listed` is the reaction about zones without one of their own.
    """
    tables = given if isinstance(given, Mapping) else {one: {} for one in given}
    if not 0 < len(tables) <= MOST:
        raise ValueError(f"zones: expected 1 to {MOST} zones, found {len(tables)}")
    zones = tuple(_zone(one, table, keys, listed) for one, table in tables.items())
    if len({one.name for one in zones}) < len(zones):
        raise ValueError('zones: expected different names; set `name = "..."` of a zone')
    return zones


def _zone(
    given: str, table: str | float | TableOfZone, keys: Mapping[str, Secret], listed: Reaction
) -> Zone:
    if not isinstance(table, Mapping):
        table = {"default": table}
    try:
        secrets = tuple(_secret(keys, key) for key in _KEY.findall(given))
        return _zone_of(given, _KEY.sub(lambda key: keys[key[1]], given), table, listed, secrets)
    except ValueError as error:
        raise ValueError(f'zones."{given[:80]}": {error}') from None


def _secret(keys: Mapping[str, Secret], key: str) -> Secret:
    if not keys.get(key):
        raise ValueError(f"expected the key {key!r} in `keys`")
    return keys[key]


def _zone_of(
    given: str, full: str, table: TableOfZone, listed: Reaction, secrets: tuple[Secret, ...]
) -> Zone:
    if not _ZONE.fullmatch(full):
        raise ValueError("expected the name of a zone such as zen.example")
    words = {key: table[key] for key in ("name", "test") if key in table}
    patterns = [key for key in table if key not in ("name", "test", "default")]
    if len(patterns) > MOST_PATTERNS or not all(isinstance(one, str) for one in words.values()):
        raise ValueError(f"expected text as name and test, and at most {MOST_PATTERNS} answers")
    rules = tuple((parse_pattern(one), _reaction(one, table[one])) for one in patterns)
    usual = Reaction("none") if patterns else listed
    default = _reaction("default", table["default"]) if "default" in table else usual
    usual_name = re.sub(r"\.{2,}", ".", _KEY.sub("", given)).strip(".").lower()
    shown = str(words.get("name") or usual_name)
    test = str(words["test"]) if "test" in words else None
    return Zone(Secret(full.strip(".").lower()), shown, rules, default, test, secrets)


def _reaction(key: str, value: str | float) -> Reaction:
    try:
        return Reaction(value)
    except ValueError as error:
        raise ValueError(f"{key}: {error}, found {str(value)[:80]!r}") from None


class HasZones(Plugin.Options, dict=True):
    """Base of the options of plugins with DNS lists."""

    def __post_init__(self) -> None:
        _ = self.parsed

    @cached_property
    def parsed(self) -> tuple[Zone, ...]:
        """The lists as values; raises ValueError."""
        return ()


class ZoneOptions(HasZones, dict=True):
    """The options of plugins with a reaction to each list, or to each of its answers."""

    zones: Zones
    """The lists: an array, or a table with the reaction to each list, or to each of its answers."""
    keys: dict[str, Secret] = field(default_factory=dict)
    """Keys for lists that require one: `{name}` in the name of a zone is replaced."""
    listed: Reaction = Reaction("deny")
    """The reaction to an entry in a list that has no reaction of its own."""

    @cached_property
    def parsed(self) -> tuple[Zone, ...]:
        """The lists as values; raises ValueError."""
        return parse_zones(self.zones, self.keys, self.listed)


class ListPlugin(Plugin):
    """Base of the plugins with DNS lists; their `Options` is a `HasZones`."""

    uses_dns = True

    @property
    def dns_lists(self) -> Collection[str]:
        """The zones with the usual test entries. A name with a key must not be shown."""
        return [one.zone for one in self.zones() if not one.secrets and one.test is None]

    def zones(self) -> Sequence[Zone]:
        """Return the lists of all options, each once."""
        options = (self.all_options.general, *self.all_options.by_domain.values())
        found = (zone for one in options if isinstance(one, HasZones) for zone in one.parsed)
        return list({one.name: one for one in found}.values())

"""The filters of a page, in its URL: period, zone, addresses, client, reason, plugin, result.

A link can therefore be stored and sent. An empty filter selects everything.

Trusts nothing: `FilterError` names the field and what was expected. Limits: MAX_TEXT characters of
a value, the last of several values of a name.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from ipaddress import ip_network
from typing import Any, get_args
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import msgspec

from gatepost.ledger.keys import canonical_domain
from gatepost.ledger.position import Position
from gatepost.ledger.records import Result
from gatepost.ledger.selection import Key, Selection

MAX_TEXT = 1000
DEFAULT_PERIOD = "24h"
# The periods that end now, in seconds; "" is the time between `since` and `until`.
EVER = "all"
PERIODS = {"1h": 3600.0, "24h": 86400.0, "7d": 604800.0, "30d": 2592000.0, EVER: 4e9}
RESULTS: Sequence[Result] = get_args(Result)
LOCAL = "local"
_FORM = "%Y-%m-%dT%H:%M"


class FilterError(ValueError):
    """A value that is no filter: the field, and what was expected."""


class Filters(msgspec.Struct, frozen=True, kw_only=True):
    """The values of a URL. `since` and `until` are times, the others as in the URL.

    `before` is the place in the ledger before which the rows of the page are, None for the newest.
    """

    period: str = DEFAULT_PERIOD
    since: float = 0.0
    until: float = 0.0
    zone: str = LOCAL
    q: str = ""
    sender: str = ""
    to: str = ""
    ip: str = ""
    domain: str = ""
    reason: str = ""
    plugin: str = ""
    result: str = ""
    before: Position | None = None

    @property
    def tz(self) -> tzinfo | None:
        """The zone, None for that of the server."""
        return _zone(self.zone)

    def url(self, path: str, **changes: Any) -> str:
        """Return a path with these filters, some of them changed."""
        values = {name: value for name, value in self._given(changes) if value}
        join = "&" if "?" in path else "?"
        return f"{path}{join}{urlencode(values)}" if values else path

    def _given(self, changes: Mapping[str, Any]) -> list[tuple[str, str]]:
        changed = msgspec.structs.replace(self, **{"before": None, **changes})
        return [(name, changed.text(name)) for name in self.__struct_fields__]

    def text(self, name: str) -> str:
        """Return a value as in a URL, "" if it is the usual one."""
        value = getattr(self, name)
        if name == "period":
            return "" if value == _usual_period(self.q) else str(value)
        if name in ("since", "until"):
            return "" if self.period else self.shown_time(value)
        if name == "before":
            return str(value) if value else ""
        return "" if value == _DEFAULTS[name] else str(value)

    def shown_time(self, seconds: float) -> str:
        """Return a time in the form of a field for dates."""
        return datetime.fromtimestamp(seconds, UTC).astimezone(self.tz).strftime(_FORM)

    def selection(self, recorded: Callable[[str], str], keys: Sequence[Key] = ()) -> Selection:
        """Return the selection of records; `recorded` is that of `Source`."""
        domain = [Key("domain", canonical_domain(self.domain))] if self.domain else []
        return Selection(
            since=self.since,
            until=self.until,
            keys=[*keys, *domain],
            sender=recorded(self.sender),
            to=recorded(self.to),
            client=self.ip,
            # A client that gives up after the refusal of all recipients was refused.
            results=[*_RESULT[self.result], "abandoned"] if self.result else (),
            reason=self.reason,
            plugin=self.plugin,
        )

    @property
    def named(self) -> list[tuple[str, str]]:
        """The filters in use, apart from the period and the zone: label and value."""
        return [
            (label, value) for name, label in LABELS.items() if (value := str(getattr(self, name)))
        ]


LABELS = {
    "q": "search",
    "sender": "from",
    "to": "to",
    "ip": "client",
    "domain": "domain",
    "reason": "reason",
    "plugin": "plugin",
    "result": "result",
}
_DEFAULTS = {name: getattr(Filters(), name) for name in Filters.__struct_fields__}
_RESULT: Mapping[str, Sequence[Result]] = {one: [one] for one in RESULTS}


def parse_filters(values: Mapping[str, str], now: float) -> Filters:
    """Return the filters of a query string; raises `FilterError`. `now` is since 1970."""
    texts = {name: values.get(name, "").strip() for name in _DEFAULTS}
    for name, value in texts.items():
        if len(value) > MAX_TEXT or not value.isprintable():
            raise FilterError(f"{name}: expected at most {MAX_TEXT} printable characters")
    _check_choice("result", texts["result"], RESULTS)
    zone = _parse_zone(texts["zone"] or LOCAL)
    since, until, period = _parse_period(texts, zone, now)
    return Filters(
        period=period,
        since=since,
        until=until,
        zone=texts["zone"] or LOCAL,
        before=_parse_before(texts["before"]),
        ip=_parse_ip(texts["ip"]),
        **{name: texts[name] for name in ("q", "sender", "to", "domain", "reason", "plugin")},
        result=texts["result"],
    )


def _check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    if value and value not in choices:
        raise FilterError(f"{name}: expected one of {', '.join(choices)}")


def _zone(name: str) -> tzinfo | None:
    if name == LOCAL:
        return None
    return UTC if name == "UTC" else ZoneInfo(name)


def _parse_zone(name: str) -> tzinfo | None:
    try:
        return _zone(name)
    except (ValueError, OSError, KeyError):  # ZoneInfoNotFoundError is a KeyError
        raise FilterError(
            'zone: expected "local", "UTC" or a name such as "Europe/Berlin"'
        ) from None


def _parse_period(
    texts: Mapping[str, str], zone: tzinfo | None, now: float
) -> tuple[float, float, str]:
    """Return the start, the end and the name of a period."""
    given = texts["since"] or texts["until"]
    period = texts["period"] or ("" if given else _usual_period(texts["q"]))
    _check_choice("period", period, list(PERIODS))
    if period:
        return max(0.0, now - PERIODS[period]), now, period
    until = _parse_time("until", texts["until"], zone) or now
    since = _parse_time("since", texts["since"], zone) or until - PERIODS[DEFAULT_PERIOD]
    if since >= until:
        raise FilterError("since: expected a time before the end")
    return since, until, ""


def _usual_period(search: str) -> str:
    """Return the period without one in the URL: a search has no limit."""
    return EVER if search else DEFAULT_PERIOD


def _parse_time(name: str, text: str, zone: tzinfo | None) -> float:
    """Return a time in seconds since 1970, 0 for none."""
    if not text:
        return 0.0
    try:
        found = datetime.fromisoformat(text)
        moment = found if found.tzinfo else found.replace(tzinfo=zone)
        seconds = moment.timestamp()
    except (ValueError, OverflowError, OSError):
        raise FilterError(f"{name}: expected a time such as 2026-11-29T14:00") from None
    return _in_range(name, seconds)


def _parse_before(text: str) -> Position | None:
    try:
        return Position.parse(text) if text else None
    except ValueError as error:
        raise FilterError(f"before: {error}") from None


def _in_range(name: str, seconds: float) -> float:
    if not 0 <= seconds < 4_102_444_800:  # the year 2100
        raise FilterError(f"{name}: expected a time from 1970 to 2099")
    return seconds


def _parse_ip(text: str) -> str:
    if not text:
        return ""
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        raise FilterError("ip: expected an IP address or a network such as 192.0.2.0/24") from None
    return str(network) if "/" in text else str(network.network_address)

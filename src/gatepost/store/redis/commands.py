"""The Redis commands of the operations, and the results of their replies.

Values are stored as Redis strings. A number is stored in decimal, a text with TEXT in front, and a
token bucket as BUCKET and the time at which it is full, in seconds of the server's clock. Machines
with different clocks therefore agree.

The scripts state the rules of `gatepost.store.operations` for Incr and Take. They are sent with
each command, a few hundred octets: a server that was restarted or whose scripts were removed needs
no special case, and the server still compiles each script only once.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from gatepost.store.errors import StoreError
from gatepost.store.operations import (
    EPSILON,
    MAX_INT,
    Add,
    AnyOperation,
    Delete,
    Get,
    Incr,
    Set,
    Take,
    Value,
    bucket_error,
    number_error,
)

TEXT = b'"'
BUCKET = b"@"
# The first word of the error of a script whose key holds another type.
KIND = "KIND"

Command = tuple[str | bytes | int, ...]

INCR = f"""\
local old = redis.call('GET', KEYS[1])
if old and not string.match(old, '^-?%d+$') then
  return redis.error_reply('{KIND} not a number')
end
local total = tonumber(old or '0') + tonumber(ARGV[1])
total = math.max(-{MAX_INT}, math.min({MAX_INT}, total))
local text = string.format('%.0f', total)
if old then
  redis.call('SET', KEYS[1], text, 'KEEPTTL')
elseif ARGV[2] then
  redis.call('SET', KEYS[1], text, 'PX', ARGV[2])
else
  redis.call('SET', KEYS[1], text)
end
return text
"""

TAKE = f"""\
local old = redis.call('GET', KEYS[1])
if old and string.sub(old, 1, 1) ~= '{BUCKET.decode()}' then
  return redis.error_reply('{KIND} not a bucket')
end
local rate, burst, cost = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local full = old and math.max(now, tonumber(string.sub(old, 2))) or now
local after = full + cost / rate
local wait = after - burst / rate - now
if wait > {EPSILON:.6f} then
  return {{string.format('%.17g', wait), string.format('%.17g', full - now)}}
end
local stored = '{BUCKET.decode()}' .. string.format('%.17g', after)
redis.call('SET', KEYS[1], stored, 'PX', math.max(1, math.ceil((after - now) * 1000)))
return {{'0', string.format('%.17g', after - now)}}
"""


class _Form(NamedTuple):
    """The command of an operation, and its result from the reply; `decode` may raise ValueError."""

    encode: Callable[[Any, str], Command]
    decode: Callable[[Any, Any], Any]


def encode(operation: AnyOperation, key: str) -> Command:
    """Return the command of an operation on a complete Redis key."""
    return _FORMS[type(operation)].encode(operation, key)


def decode(operation: AnyOperation, reply: Any) -> Any:
    """Return the result; raises `StoreError` for a reply that was never stored by Gatepost."""
    try:
        return _FORMS[type(operation)].decode(operation, reply)
    except (ValueError, TypeError, UnicodeDecodeError) as error:
        raise StoreError(f"unexpected reply: {str(reply)[:80]!r}") from error


def type_error(operation: AnyOperation, text: str) -> StoreError | None:
    """Return the error of a reply that reports a key of another type, otherwise None."""
    if not text.startswith((KIND, "WRONGTYPE")):
        return None
    make = bucket_error if isinstance(operation, Take) else number_error
    return make(operation.key)


def _stored(value: Value) -> bytes:
    return TEXT + value.encode() if isinstance(value, str) else b"%d" % value


def _px(ttl: float | None) -> Command:
    """Return the arguments for a ttl in milliseconds, the least of which is 1."""
    return () if ttl is None else ("PX", max(1, math.ceil(ttl * 1000)))


def _value(operation: Get, reply: bytes | None) -> Value | None:
    if reply is None:
        return None
    if reply.startswith(TEXT):
        return reply[len(TEXT) :].decode()
    if reply.startswith(BUCKET):
        raise bucket_error(operation.key)
    return int(reply)


def _get(_operation: Get, key: str) -> Command:
    return "GET", key


def _set(operation: Set, key: str) -> Command:
    return "SET", key, _stored(operation.value), *_px(operation.ttl)


def _add(operation: Add, key: str) -> Command:
    return "SET", key, _stored(operation.value), "NX", *_px(operation.ttl)


def _incr(operation: Incr, key: str) -> Command:
    return "EVAL", INCR, 1, key, operation.by, *_px(operation.ttl)[1:]


def _delete(_operation: Delete, key: str) -> Command:
    return "DEL", key


def _take(operation: Take, key: str) -> Command:
    numbers = (operation.rate, operation.burst, operation.cost)
    return "EVAL", TAKE, 1, key, *map(repr, map(float, numbers))


def _taken(operation: Take, reply: Any) -> Any:
    wait, filling = reply
    return operation.taken(float(wait), float(filling))


_FORMS: Mapping[type[AnyOperation], _Form] = {
    Get: _Form(_get, _value),
    Set: _Form(_set, lambda _operation, _reply: None),
    Add: _Form(_add, lambda _operation, reply: reply is not None),
    Incr: _Form(_incr, lambda _operation, reply: int(reply)),
    Delete: _Form(_delete, lambda _operation, reply: reply > 0),
    Take: _Form(_take, _taken),
}

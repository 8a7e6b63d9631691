"""The counts of a resolver, for metrics."""

from collections.abc import Mapping

import msgspec


class DnsStatus(msgspec.Struct, frozen=True, omit_defaults=True):
    """The work of a resolver since its start.

    `lookups` are counts by the source of the answer: "cache", "shared" (another lookup had asked
    already), "query", "limit" (too many questions), "outage". `queries` are counts of the questions
    to name servers by their result: "found", "empty", "absent", "failed", "timeout". `evictions`
    are answers that the cache dropped before their end, `entries` and `octets` are its size.
    `unavailable` is true while no name server answers.
    """

    lookups: Mapping[str, int] = {}
    queries: Mapping[str, int] = {}
    evictions: int = 0
    entries: int = 0
    octets: int = 0
    unavailable: bool = False

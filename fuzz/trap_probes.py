"""The detector of bisecting stays within its limits and flags no cluster for probes of others.

Any octets are a sequence of probes: their recipients, their network, whether a trap refuses them.
"""

import sys

from fuzz.engine import Target, run
from gatepost.traps.bisecting import Bisecting, Probe

MOST, MOST_OF_SOURCE = 12, 4
NETWORKS = ("2a", "2b", "2c", "2d", "")
DAY = 86400

# A probe is a line: its network and its refusal, then its recipients.
TOKENS = [
    b"\n",
    b"\n0",
    b"\n1",
    b"\n2",
    b"\n3",
    b"\n5",
    b"\n6",
    b"\n9",
    b"abcdefgh",
    b"abcd",
    b"ab",
]
SEEDS = [
    b"5abcdefghijkl\n5abcdefghi\n5abcdef\n5abcd\n5ab",
    b"5abcdefgh\n0b\n0c\n0d\n0e\n5a",
    b"6abcdefgh\n7abcdef\n8abcd\n6abc",
    b"5abc\n6abd\n7abe\n8abf\n9abg",
]


def check(data: bytes) -> None:
    """Raise if the invariant does not hold."""
    sets, sent = Bisecting(MOST, MOST_OF_SOURCE), dict[str, int]()
    for at, line in enumerate(data.split(b"\n")):
        if not line:
            continue
        network = NETWORKS[line[0] % 5]
        keys = (network,) if network else ()
        is_refused = line[0] // 5 % 2 == 1
        probe = Probe(at * DAY / 4, frozenset(line[1:]), network, keys, is_refused, ("trap",))
        is_concerned = sets.concerns(probe)
        found = sets.observe(probe)
        sent[network] = sent.get(network, 0) + 1
        assert len(sets) <= MOST
        if found is not None:
            assert is_concerned
            assert set(found.keys) <= set(keys)
            assert not found.keys or sent[network] >= 3


if __name__ == "__main__":
    sys.exit(run(Target(check, SEEDS, TOKENS)))

r"""Tests of plugins and of programs that send mail.

    from gatepost.testing import play

    def test_closed_on_mondays():
        result = play('''
            S: 220
            C: EHLO client.example
            S: 250
            C: MAIL FROM:<a@client.example>
            C: RCPT TO:<user@example.com>
            S: 250
            S: 550 5.7.1 closed today*
        ''', plugins=[NoMondays(day=0)], now="2024-01-01")
        assert result.messages == []

`play` runs a transcript against the real server, in memory, with a clock for which waiting takes
no time. `C:` lines are sent; consecutive ones are sent together, as a pipelining client does. Each
`S:` line is an expected reply. A line that is only a code matches a whole reply with that code. A
longer line is compared with the next line of the reply; `*` stands for any text. A `T:` line moves
the clock on (`T: 5m`). A `B:` line sends octets without a line end, with the escapes of Python, for
BDAT: `B: text\r\n`. Blank lines and lines that start with `#` are ignored. `play_async` does the
same in a test that is a coroutine.

`RunningServer` is a server on a real socket in a separate thread, for tests of programs that send
mail. The fixture `gatepost_server` of `gatepost.pytest_plugin` provides one.
"""

from gatepost.plugin.virtual_clock import VirtualClock
from gatepost.registry.memory import MemoryRegistry
from gatepost.server.capture import Capture, ReceivedMessage
from gatepost.server.memory import DEFAULT_CONFIG, MemoryClient, MemoryServer
from gatepost.testing.dialogue import (
    DialogueError,
    DialogueResult,
    PlayedDecision,
    perform,
    play,
    play_async,
)
from gatepost.testing.resolver import FakeResolver
from gatepost.testing.running import RunningServer
from gatepost.testing.store import MemoryStore, memory_store
from gatepost.testing.table import MemoryTable

__all__ = [
    "DEFAULT_CONFIG",
    "Capture",
    "DialogueError",
    "DialogueResult",
    "FakeResolver",
    "MemoryClient",
    "MemoryRegistry",
    "MemoryServer",
    "MemoryStore",
    "MemoryTable",
    "PlayedDecision",
    "ReceivedMessage",
    "RunningServer",
    "VirtualClock",
    "memory_store",
    "perform",
    "play",
    "play_async",
]

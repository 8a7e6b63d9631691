"""docs/shipped/standing.md: the plugin and the program of the page record correspondents."""

import asyncio
import re
import textwrap

import pytest
from tests.docs.pages import page

from gatepost.plugins.standing import Standing
from gatepost.testing import MemoryStore, play

# It can be a part of a list.
BLOCK = re.compile(r"^ *```python\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
RELAY = {
    "route": [
        {"for": ["example.com"], "to": "discard:"},
        {"for": ["*"], "to": "discard:", "relay_for": ["192.0.2.0/24"]},
    ]
}
OUTGOING = """
    S: 220
    C: EHLO client.example
    S: 250
    C: MAIL FROM:<user@example.com>
    S: 250
    C: RCPT TO:<Bob@Example.org>
    S: 250
    C: DATA
    S: 354
    C: Subject: hello
    C: .
    S: 250
"""


@pytest.fixture
def programs():
    """Return the names that the programs of the page define, by the name of their file."""
    found = {}
    for block in BLOCK.findall(page("shipped/standing")):
        text = textwrap.dedent(block)
        names = {}
        exec(compile(text, "docs/shipped/standing.md", "exec"), names)
        found[text.split()[1]] = names
    return found


def test_the_plugin_states_the_recipients_of_the_server_behind(programs):
    store = MemoryStore()
    plugins = [programs["outgoing.py"]["Outgoing"](), Standing()]
    play(OUTGOING, plugins, config=RELAY, store=store)
    assert list(store.values("standing")) == ["sent bob@example.org"]


def test_the_program_states_its_customers(programs):
    names = programs["program.py"]

    async def sell():
        await names["sold"]({"customer": "bob@example.org"})
        return await names["standing"].store.get("sent bob@example.org")

    assert isinstance(asyncio.run(sell()), int)

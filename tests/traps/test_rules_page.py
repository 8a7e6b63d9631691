"""docs/trap-rules.md and the back-test in docs/traps.md agree with the code."""

import re
from pathlib import Path

from gatepost.importers.registry import FORMATS
from gatepost.traps.many_unknown import MINIMUM, SHARE
from gatepost.traps.memory import DAY, Lifetimes
from gatepost.traps.message_ids import FORMS
from gatepost.traps.shared import SharedRule
from gatepost.traps.verdicts import TABLE, Standing, TrapClass

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "trap-rules.md").read_text("utf-8")
PAGE = " ".join(TEXT.split())
TRAPS = (DOCS / "traps.md").read_text("utf-8")


def test_the_limits_of_many_unknown_recipients():
    assert f"at least {MINIMUM} distinct recipients" in PAGE
    assert f"at least {SHARE:.0%}".replace("%", " %") in PAGE


def test_the_forms_of_message_identifiers():
    listed = re.search(r"These forms are recognised: (.*?)\. An address", PAGE)[1]
    assert re.findall(r"`([^`]+)`", listed) == [form.name for form in FORMS]


def test_the_lifetimes_of_the_memory():
    times = Lifetimes()
    assert f"remembered for {times.marking / DAY:.0f} days" in PAGE
    assert f"and for {times.refusing / 3600:.0f} hours" in PAGE


def test_the_limits_of_shared_networks():
    rule = SharedRule()
    assert f"at least {rule.domains} organisational domains" in PAGE
    assert f"at least {rule.age / DAY:.0f} days ago" in PAGE
    assert f"in the last {rule.recent / DAY:.0f} days" in PAGE


def test_the_table_of_treatments():
    rows = re.findall(r"^\| `([\w-]+)` \| (.*) \|$", TEXT, re.MULTILINE)
    assert [name for name, _ in rows] == [one.value for one in TrapClass]
    for name, cells in rows:
        expected = [TABLE[TrapClass(name), standing].value for standing in Standing]
        assert cells.split(" | ") == expected


def test_every_log_format_is_described():
    section = TRAPS[TRAPS.index("### Log formats") : TRAPS.index("## Measured on real logs")]
    described = re.findall(r"^\| (\w+) \|", section, re.MULTILINE)
    assert {name.lower() for name in described} - {"server"} == set(FORMATS)
    assert all(f"`{name}`" in TRAPS for name in FORMATS)

"""docs/traps.md agrees with the code: roles, limits, defaults and log fields."""

import json
import re
from pathlib import Path

from structlog.testing import capture_logs

from gatepost.config import units
from gatepost.config.schema import TrapsConfig
from gatepost.lists.file import INDEX_ABOVE
from gatepost.lists.patterns import MAX_PATTERNS
from gatepost.testing import play
from gatepost.traps.table import ROLES

PAGE = " ".join((Path(__file__).parents[2] / "docs" / "traps.md").read_text("utf-8").split())


def test_the_page_names_the_roles():
    named = re.search(r"never traps - (.*?), at any domain", PAGE)[1]
    assert set(re.findall(r"`(\w+)`", named)) == ROLES


def test_the_page_has_the_limits():
    size = units.format_size(INDEX_ABOVE).replace("MiB", " MiB")
    assert f"A list of up to {size}," in PAGE
    assert f"A list can have {MAX_PATTERNS} of them" in PAGE


def test_the_page_has_the_default_reply_and_delay():
    traps = TrapsConfig()
    delay = units.format_duration(traps.delay)
    assert f'action = "{traps.action}" delay = "{delay}" reply = "{traps.reply}"' in PAGE


def test_the_page_has_the_fields_of_a_hit():
    sample = json.loads(re.search(r"```json (.*?) ```", PAGE)[1])
    with capture_logs() as logs:
        play(
            "S: 220\nC: EHLO x\nS: 250\nC: MAIL FROM:<spammer@client.example>\nS: 250\n"
            "C: RCPT TO:<trap@example.com>\nS: 250\nC: DATA\nS: 554",
            traps=["# traps", "trap@example.com contact page"],
        )
    [line] = logs
    assert set(line) - {"log_level"} == set(sample) - {"time", "level", "logger"}
    same = {"event", "hook", "by", "reason", "sender", "peer"}
    assert {name: line[name] for name in same} == {name: sample[name] for name in same}
    assert line["recipients"] == ["trap@example.com"]
    assert line["traps"] == ["trap@example.com (traps:2)"]

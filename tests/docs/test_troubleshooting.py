"""docs/troubleshooting.md: the events, reasons and keys that it names exist."""

import re

from tests.docs.pages import page, rows, section

from gatepost.config.kinds import keys
from gatepost.config.schema import Config
from gatepost.plugin.loader import builtin_names

PAGE = page("troubleshooting")
LOGS = section("operation", "Logs")
OTHERS = {"gatepost", "next"}  # commands, and "next hop"
NAMES = set(re.findall(r"`([a-z][A-Za-z -]+)`", PAGE))


def test_the_events_are_those_of_the_log():
    events = {row[0].strip("`") for row in rows(LOGS)}
    named = {name for name in NAMES if " " in name and name.split()[0] not in OTHERS}
    assert named - events == set()
    assert len(named) > 8


def test_the_reasons_are_those_of_the_log():
    table = section("troubleshooting", "Mail is refused")
    named = re.findall(r"^\| \d.*?, (.*?) \|", table, re.MULTILINE)
    reasons = set(re.findall(r"`([\w-]+)`", " ".join(named)))
    known = {field.name for field, _ in keys(type(Config().limits))} | set(
        re.findall(r"`([a-z]+(?:-[a-z]+)*)`", LOGS + section("operation", "Refusals"))
    )
    assert len(reasons) > 8
    # The reason of a shipped plugin begins with its name.
    plugins = tuple(name.replace("_", "-") for name in builtin_names())
    assert {one for one in reasons - known if not one.startswith(plugins)} == set()


def test_the_keys_are_those_of_the_configuration():
    config = Config()
    tables = "server|smtp|limits|recipients|traps|auth"
    named = re.findall(rf"`({tables})\.([a-z_]+)`", PAGE)
    assert len(named) > 5
    assert [pair for pair in named if not hasattr(getattr(config, pair[0]), pair[1])] == []

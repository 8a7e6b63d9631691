"""`gatepost traps report`: text, JSON, options, the page, and what is refused."""

import json
import os
import pty
import re
import subprocess
import sys

import msgspec
import pytest
from tests.cli.ledgers import write
from tests.cli.test_terminal import on_terminal
from tests.docs.pages import section
from tests.ledger.mail_records import MORNING, SPOILED

from gatepost.ledger.records import PluginResult

CONFIG = 'traps.lists = ["verybadrcptto"]\n[[plugin]]\nuse = "score"\noptions = { deny = 8 }'
LIST = "# traps\nold@example.com\n@unused.example.com a note\n" + "trap@example.com contact page\n"
KNOWN = msgspec.structs.replace(
    SPOILED,
    time=MORNING + 30,
    ref="ebebdad2-9.1",
    sender="alice@example.org",
    results=[PluginResult("standing", "acquainted"), PluginResult("dnsbl", "listed", 8.0)],
    score=8.0,
)


@pytest.fixture
def traps(configure, morning):
    """A configured folder with a list of traps and the plugin `score`, without records."""
    folder = configure(CONFIG)
    (folder / "verybadrcptto").write_text(LIST)
    return folder


@pytest.fixture
def hits(traps):
    write(SPOILED, KNOWN)
    return traps


def found(run, *options):
    result = run("traps", "report", "--json", *options)
    assert (result.exit_code, result.stderr) == (0, "")
    return json.loads(result.stdout)


def test_the_result_as_json(run, hits):
    result = found(run)
    assert result["refused"] == {
        "messages": 2,
        "with_users": 2,
        "users": 2,
        "others": 1,
        "alone": 1,
        "known": 1,
    }
    assert result["shadow_hits"] == 0
    assert result["threshold"] == 8
    assert result["since"] == MORNING + 300 - 7 * 86400
    assert [one["ref"] for one in result["known_senders"]] == ["ebebdad2-9.1"]
    assert result["unused"]["first"] == [
        "verybadrcptto:2 old@example.com",
        "verybadrcptto:3 @unused.example.com",
    ]


def test_the_result_as_text(run, hits):
    result = run("traps", "report")
    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert lines[0].startswith("Mail from Sun 22 Nov 2026 09:05:00 +0100")
    assert "    stopped by traps alone                    1" in lines
    assert max(map(len, lines)) <= 80


def test_the_tables_of_the_page_are_those_of_the_command(run, hits):
    output = run("traps", "report").stdout
    text = section("traps", "What traps are worth")
    tables = re.findall(r"```text\n(.*?)```", text, re.DOTALL)
    assert len(tables) == 3
    assert all(table in output for table in tables)


def test_the_period_can_be_chosen(run, hits):
    assert found(run, "--since", "2026-11-29T09:00:20")["refused"]["messages"] == 1
    assert found(run, "--since", "1h", "--until", "2026-11-29T09:00:20")["known"] == 0


def test_lists_can_be_shorter(run, hits):
    assert len(found(run, "--top", 1)["unused"]["first"]) == 1


def test_without_a_hit_the_text_lists_its_later_content(run, traps):
    write()
    output = run("traps", "report").stdout
    assert "Nothing to report yet" in output
    assert "Traps without a hit: 3 of 3" in output


def test_without_the_plugin_score_points_refuse_nothing(run, hits):
    path = hits / "gatepost.toml"
    path.write_text(path.read_text().replace(CONFIG.partition("\n")[2], ""))
    result = found(run)
    assert (result["threshold"], result["refused"]["alone"]) == (0, 2)


def test_a_list_that_is_missing_is_a_warning(run, hits):
    (hits / "verybadrcptto").unlink()
    result = run("traps", "report")
    assert result.exit_code == 0
    assert "gatepost: warning: " in result.stderr
    assert "verybadrcptto" in result.stderr


def test_a_ledger_is_required(run, traps):
    result = run("traps", "report")
    assert result.exit_code == 1
    assert "no ledger" in result.stderr


def test_an_end_before_the_start_is_wrong_usage(run, hits):
    result = run("traps", "report", "--since", "1h", "--until", "2h")
    assert result.exit_code == 2
    assert result.stderr == "gatepost: --until: expected a time after --since\n"


def test_text_from_clients_cannot_act_on_the_terminal(run, traps):
    hostile = "\x1b]0;title\x07\u202e@example.org"
    trap = msgspec.structs.replace(SPOILED.traps[0], address=hostile, entry=hostile)
    write(msgspec.structs.replace(KNOWN, sender=hostile, traps=[trap]))
    for options in ([], ["--json"]):
        result = run("traps", "report", *options)
        assert result.exit_code == 0
        assert all(line.isprintable() for line in result.stdout.splitlines())


def test_on_a_terminal_headings_have_colours(hits):
    assert "\x1b[1m" in on_terminal("traps", "report", "--since", "2026-11-29")


def test_a_bar_is_drawn_on_a_terminal(hits):
    main, terminal = pty.openpty()
    command = [sys.executable, "-m", "gatepost", "traps", "report", "--since", "2026-11-29"]
    environment = os.environ | {"TERM": "xterm"}
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=terminal, env=environment
    ) as process:
        os.close(terminal)
        drawn = b"".join(iter(lambda: read(main), b""))
        os.close(main)
    assert process.returncode == 0
    assert b"traps report" in drawn


def read(descriptor):
    try:
        return os.read(descriptor, 65536)
    except OSError:  # the other end is closed
        return b""

"""`gatepost plugins`."""

import json
import re

import pytest
from tests.docs.pages import ROOT

from gatepost.plugin.loader import builtin_names


@pytest.fixture
def alone(tmp_path, monkeypatch):
    """A current folder without a configuration."""
    monkeypatch.chdir(tmp_path)


def test_without_a_configuration_the_shipped_plugins_are_listed(run, alone):
    result = run("plugins", "--json")
    assert result.exit_code == 0
    shown = json.loads(result.stdout)
    assert [one["name"] for one in shown if one["kind"] == "shipped"] == sorted(builtin_names())
    assert not any(one["configured"] for one in shown)


def test_a_configured_file_is_listed(run, configure):
    tables = ("[plugin.options_for]", '"example.com" = {}', '"[192.0.2.1]" = {}')
    folder = configure("[[plugin]]", 'use = "mine.py"', *tables)
    (folder / "mine.py").write_text(
        '"""About the module."""\n'
        "from gatepost import Plugin\n"
        "from gatepost import AddressList, Secret\n"
        "class Mine(Plugin):\n"
        "    class Options(Plugin.Options):\n"
        "        day: int\n"
        "        'The day of the week.'\n"
        "        bad: AddressList = AddressList('file:bad')\n"
        "        key: Secret = Secret('hunter2')\n"
        "    def after_data(self, tx, outcome): ...\n"
        "    def on_rcpt(self, tx, rcpt): ...\n"
        "    def on_disconnect(self, session): ...\n"
    )
    result = run("plugins", "--json")
    assert result.exit_code == 0
    assert {
        "name": "mine",
        "kind": "file",
        "configured": True,
        "about": "About the module.",
        "hooks": ["on_rcpt", "after_data", "on_disconnect"],
        "options": [
            {
                "name": "day",
                "type": "int",
                "value": "a whole number",
                "default": "",
                "required": True,
                "about": "The day of the week.",
            },
            {
                "name": "bad",
                "type": "AddressList",
                "value": 'addresses such as "user@example.com" and "@example.com", or "file:NAME"',
                "default": '["file:bad"]',
                "required": False,
                "about": "",
            },
            {
                "name": "key",
                "type": "Secret",
                "value": 'a secret as text, or "file:NAME"',
                "default": "<secret>",
                "required": False,
                "about": "",
            },
        ],
        "options_for": ["example.com", "[192.0.2.1]"],
        "page": "",
    } in json.loads(result.stdout)
    (line,) = [one for one in run("plugins").stdout.splitlines() if one.startswith("mine ")]
    assert " ".join(line.split()[1:]) == "file yes About the module."


def test_an_unusable_plugin_is_an_error_and_the_others_are_listed(run, configure):
    folder = configure("[[plugin]]", 'use = "gone.py"', "[[plugin]]", 'use = "mine.py"')
    (folder / "mine.py").write_text(
        "from gatepost import Plugin\nclass Mine(Plugin):\n    'Does nothing.'\n"
    )
    result = run("plugins")
    assert result.exit_code == 1
    assert result.stderr == f"gatepost: plugin {folder}/gone.py: no such file\n"
    assert "Does nothing." in result.stdout


def test_options_with_an_unusable_type_are_an_error(run, configure):
    folder = configure("[[plugin]]", 'use = "mine.py"')
    (folder / "mine.py").write_text(
        "from gatepost import Plugin\nclass Mine(Plugin):\n"
        "    class Options(Plugin.Options):\n        day: 'Nothing'\n"
    )
    result = run("plugins")
    assert result.exit_code == 1
    assert result.stderr.startswith("gatepost: plugin mine.py: class Options: name 'Nothing'")


def test_one_plugin_is_shown_in_full(run, alone):
    result = run("plugins", "score")
    assert result.exit_code == 0
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert lines[0] == "score: Decide by the sum of the points that other plugins give (score)."
    assert "hooks on_rcpt, on_data, on_message" in lines
    assert "page docs/shipped/score.md" in lines
    at = lines.index("deny: a number; default: 10.0")
    assert lines[at + 1] == "The number of points from which a message is refused."


def test_one_plugin_is_shown_as_json(run, alone):
    shown = json.loads(run("plugins", "dnsbl", "--json").stdout)
    assert (shown["name"], shown["kind"]) == ("dnsbl", "shipped")
    required = [one["name"] for one in shown["options"] if one["required"]]
    assert required == ["zones"]
    assert all(one["about"] for one in shown["options"])


def test_an_unknown_plugin_is_an_error_with_a_hint(run, alone):
    result = run("plugins", "dnsb")
    assert result.exit_code == 1
    assert result.stderr == "gatepost: no plugin dnsb; did you mean dnsbl?\n"
    assert "gatepost plugins lists them" in run("plugins", "zzz").stderr


def test_a_plugin_that_cannot_be_used_is_shown_with_its_error(run, configure):
    configure("[[plugin]]", 'use = "gone.py"')
    result = run("plugins", "gone")
    assert result.exit_code == 1
    assert "gone.py: no such file" in result.stderr


def test_one_plugin_is_shown_in_80_columns(run, alone):
    for name in builtin_names():
        lines = run("plugins", name).stdout.splitlines()
        assert [line for line in lines if len(line) > 80 and " " in line.strip()] == []


@pytest.mark.parametrize("line", ["-c FILE mine", "mine -c FILE", "--json mine", "options mine"])
def test_options_before_and_after_a_name_are_the_same(run, configure, line):
    folder = configure("[[plugin]]", 'use = "mine.py"')
    (folder / "mine.py").write_text(
        "'About.'\nfrom gatepost import Plugin\nclass Mine(Plugin): ...\n"
    )
    arguments = line.replace("FILE", str(folder / "gatepost.toml")).split()
    result = run("plugins", *arguments)
    assert result.exit_code == 0
    assert "About." in result.stdout
    assert result.stdout.startswith("{") == ("--json" in line)


def test_the_page_of_a_shipped_plugin_is_printed_as_markdown(run, alone):
    result = run("plugins", "show", "score")
    page = (ROOT / "docs/shipped/score.md").read_text("utf-8")
    assert result.stdout == page.replace("<!-- generated: options_score -->\n\n", "").replace(
        "<!-- generated: end -->\n\n", ""
    )


def test_every_shipped_plugin_has_a_page_to_print(run, alone):
    for name in builtin_names():
        assert run("plugins", "show", name).stdout.startswith(f"# {name}\n")


def test_a_plugin_without_a_page_is_shown_with_its_options(run, configure):
    folder = configure("[[plugin]]", 'use = "mine.py"')
    (folder / "mine.py").write_text(
        "'About.'\nfrom gatepost import Plugin\nclass Mine(Plugin): ...\n"
    )
    assert run("plugins", "show", "mine").stdout.startswith("mine: About.\n")


@pytest.mark.parametrize("name", ["../plugins", "score.md", "/etc/passwd"])
def test_a_path_is_no_name_of_a_page(run, alone, name):
    result = run("plugins", "show", name)
    assert (result.exit_code, result.stdout) == (1, "")


def test_the_data_of_a_plugin_is_printed_instead_of_its_page(run, alone):
    assert (
        run("plugins", "show", "score", "--json").stdout == run("plugins", "score", "--json").stdout
    )


@pytest.mark.parametrize("command", ["", "show", "options"])
def test_a_plugin_of_another_server_leads_to_its_equivalent(run, alone, command):
    result = run("plugins", *command.split(), "check_verybadrcptto")
    assert result.exit_code == 0
    cells = re.split("  +", result.stdout.splitlines()[1])
    assert cells[:3] == ["qpsmtpd", "check_verybadrcptto", "traps.lists"]


def test_a_plugin_of_two_servers_is_shown_for_both_as_json(run, alone):
    shown = json.loads(run("plugins", "show", "karma", "--json").stdout)
    assert [one["server"] for one in shown] == ["qpsmtpd", "Haraka"]
    assert "plugin:reputation" in shown[0]["here"]


def found(run, *words):
    result = json.loads(run("plugins", "search", *words, "--json").stdout)
    elsewhere = [f"{one['server']} {one['name']}" for one in result["elsewhere"]]
    return [one["name"] for one in result["plugins"]], elsewhere


def test_a_search_finds_the_plugins_that_do_what_one_of_another_server_does(run, alone):
    plugins, elsewhere = found(run, "karma")
    assert plugins == ["reputation", "score", "trap_memory"]
    assert elsewhere == ["qpsmtpd karma", "Haraka karma"]
    assert found(run, "which", "plugin", "does", "karma?") == (plugins, elsewhere)


def test_a_search_finds_words_of_descriptions_and_of_options(run, alone):
    assert found(run, "RFC", "7208")[0] == ["spf"]
    assert found(run, "mark_header")[0] == ["attachments", "score"]


def test_the_plugin_with_the_name_comes_first(run, alone):
    assert found(run, "score")[0][0] == "score"
    assert found(run, "greylist")[0][0] == "greylist"


def test_all_words_of_a_search_must_occur(run, alone):
    assert "clamav" in found(run, "virus")[0]
    result = run("plugins", "search", "virus", "nosuch")
    assert result.exit_code == 1
    assert (
        result.stderr
        == "gatepost: nothing found for virus nosuch; gatepost plugins lists all plugins\n"
    )


def test_a_search_prints_plugins_and_their_names_elsewhere(run, alone):
    lines = run("plugins", "search", "geoip").stdout.splitlines()
    first = [line.split()[0] for line in lines if line]
    assert first == ["name", "geo", "server", "qpsmtpd", "Haraka"]
    assert re.split("  +", lines[-1])[:3] == ["Haraka", "geoip", "plugin geo"]


def test_a_search_without_words_is_wrong_usage(run, alone):
    assert run("plugins", "search").exit_code == 2

"""`gatepost plugins`."""

import json

from gatepost.plugin.loader import builtin_names


def test_without_a_configuration_the_shipped_plugins_are_listed(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
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


def test_one_plugin_is_shown_in_full(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run("plugins", "score")
    assert result.exit_code == 0
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert lines[0] == "score: Decide by the sum of the points that other plugins give (score)."
    assert "hooks on_rcpt, on_data, on_message" in lines
    assert "page docs/shipped/score.md" in lines
    at = lines.index("deny: a number; default: 10.0")
    assert lines[at + 1] == "The number of points from which a message is refused."


def test_one_plugin_is_shown_as_json(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shown = json.loads(run("plugins", "dnsbl", "--json").stdout)
    assert (shown["name"], shown["kind"]) == ("dnsbl", "shipped")
    required = [one["name"] for one in shown["options"] if one["required"]]
    assert required == ["zones"]
    assert all(one["about"] for one in shown["options"])


def test_an_unknown_plugin_is_an_error_with_a_hint(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run("plugins", "dnsb")
    assert result.exit_code == 1
    assert result.stderr == "gatepost: no plugin dnsb; did you mean dnsbl?\n"
    assert "gatepost plugins lists them" in run("plugins", "zzz").stderr


def test_a_plugin_that_cannot_be_used_is_shown_with_its_error(run, configure):
    configure("[[plugin]]", 'use = "gone.py"')
    result = run("plugins", "gone")
    assert result.exit_code == 1
    assert "gone.py: no such file" in result.stderr


def test_one_plugin_is_shown_in_80_columns(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in builtin_names():
        lines = run("plugins", name).stdout.splitlines()
        assert [line for line in lines if len(line) > 80 and " " in line.strip()] == []

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
            {"name": "day", "type": "int", "default": "", "required": True},
            {
                "name": "bad",
                "type": "AddressList",
                "default": '["file:bad"]',
                "required": False,
            },
            {"name": "key", "type": "Secret", "default": "<secret>", "required": False},
        ],
        "options_for": ["example.com", "[192.0.2.1]"],
    } in json.loads(result.stdout)
    (line,) = [one for one in run("plugins").stdout.splitlines() if one.startswith("mine ")]
    assert " ".join(line.split()[1:]) == (
        "file yes About the module. on_rcpt, after_data, on_disconnect day: int,"
        ' bad: AddressList = ["file:bad"], key: Secret = <secret>'
        " example.com, [192.0.2.1]"
    )


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

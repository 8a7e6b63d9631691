"""All commands: help, wrong usage, missing configuration."""

import re
from pathlib import Path

import pytest
from click.shell_completion import get_completion_class

from gatepost import __version__
from gatepost._build import describe_build
from gatepost.cli.commands import COMMANDS, gatepost

TABLES = (
    "server, listen, tls, auth, smtp, limits, recipients, traps, route, queue, quarantine, plugin,"
    " dns, ledger, webhook, metrics, web, store, log, sql, ldap, redis, http"
)
WHOLE = "a whole number from 1 to 100000"
WITH_CONFIGURATION = [
    ["serve"],
    ["check"],
    ["try", "--to", "a@example.com"],
    ["traps", "list"],
    ["traps", "add", "a@example.com"],
    ["traps", "remove", "a@example.com"],
    ["traps", "test", "a@example.com"],
    ["traps", "report"],
    ["users", "list"],
    ["users", "add", "a", "--password-stdin"],
    ["users", "remove", "a"],
    ["queue", "list"],
    ["queue", "show", "1-1"],
    ["queue", "remove", "1-1"],
    ["plugins"],
    ["explain", "abc-1"],
    ["log"],
    ["report"],
    ["dmarc", "report"],
    ["replay"],
    ["authcheck", "-"],
]


def test_help_lists_every_command(run):
    result = run("--help")
    assert result.exit_code == 0
    for name, row in COMMANDS.items():
        assert re.search(rf"\n  {name} +{re.escape(row.summary)}\n", result.stdout)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(run, name):
    result = run(name, "--help")
    assert result.exit_code == 0
    assert f"Example: gatepost {name}" in result.stdout


@pytest.mark.parametrize(
    ("group", "name"),
    [
        *(("traps", name) for name in ("list", "add", "remove", "test")),
        ("dmarc", "report"),
        *(("users", name) for name in ("list", "add", "remove")),
        *(("plugins", name) for name in ("search", "show", "options")),
        *(("queue", name) for name in ("list", "show", "retry", "hold", "release", "remove")),
    ],
)
def test_every_command_of_a_group_has_help_with_an_example(run, group, name):
    result = run(group, name, "--help")
    assert result.exit_code == 0
    assert re.search(rf"Example: .*gatepost {group} {name}", result.stdout)


def test_version_is_printed(run):
    result = run("--version")
    expected = f"gatepost, version {__version__} ({describe_build()})\n"
    assert (result.exit_code, result.stdout) == (0, expected)


@pytest.mark.parametrize("name", ["archive", "dashboard"])
def test_an_unknown_command_is_wrong_usage(run, name):
    result = run(name)
    assert result.exit_code == 2
    assert result.stderr == f"gatepost: No such command '{name}', see gatepost --help\n"


def test_an_unknown_option_is_wrong_usage(run):
    result = run("check", "--jsom")
    assert result.exit_code == 2
    assert result.stderr.startswith("gatepost: No such option")
    assert result.stderr.endswith(" Did you mean '--json'? See gatepost check --help\n")


@pytest.mark.parametrize(("typed", "meant"), [("serv", "serve"), ("chekc", "check")])
def test_an_error_for_an_unknown_command_names_a_similar_one(run, typed, meant):
    result = run(typed)
    assert result.exit_code == 2
    expected = f"No such command '{typed}'. Did you mean '{meant}'? See gatepost --help"
    assert result.stderr == f"gatepost: {expected}\n"


def test_a_group_also_names_a_similar_command(run):
    expected = "No such command 'lst'. Did you mean 'list'? See gatepost traps --help"
    assert run("traps", "lst").stderr == f"gatepost: {expected}\n"


@pytest.mark.parametrize("group", ["traps", "users", "queue", "plugin", "dmarc"])
def test_the_short_help_of_a_command_is_a_whole_sentence(run, group):
    lines = run(group, "--help").stdout.splitlines()
    assert [line for line in lines if line.startswith("  ") and line.endswith("...")] == []


def test_a_missing_argument_is_wrong_usage(run):
    result = run("init")
    assert result.exit_code == 2
    assert result.stderr == "gatepost: Missing argument 'DIR', see gatepost init --help\n"


def test_a_missing_command_prints_the_help(run):
    result = run()
    assert result.exit_code == 2
    assert "Usage: gatepost" in result.stderr


@pytest.mark.parametrize("arguments", WITH_CONFIGURATION, ids=" ".join)
def test_a_missing_configuration_is_an_error(run, tmp_path, arguments):
    result = run(*arguments, "-c", tmp_path / "none.toml")
    assert result.exit_code == 1
    assert result.stderr.splitlines()[0] == (
        f"gatepost: {tmp_path}/none.toml: cannot be read: No such file or directory"
    )


@pytest.mark.parametrize("arguments", WITH_CONFIGURATION, ids=" ".join)
def test_all_errors_of_a_configuration_are_reported(run, configure, arguments):
    configure("[limits]", 'recipients = "abc"', "[nonsense]")
    result = run(*arguments)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        f"gatepost: gatepost.toml: nonsense: unknown key, expected one of {TABLES}",
        f'gatepost: gatepost.toml: limits.recipients: expected {WHOLE}, found "abc"',
    ]


def test_control_characters_in_arguments_are_escaped(run):
    result = run("\x1b[2J")
    assert result.exit_code == 2
    assert "\x1b" not in result.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_commands_are_completed(shell):
    page = (Path(__file__).parents[2] / "docs/operation.md").read_text()
    assert f"gatepost completion {shell}" in page
    completion = get_completion_class(shell)(gatepost, {}, "gatepost", "_GATEPOST_COMPLETE")
    assert "_GATEPOST_COMPLETE" in completion.source()
    assert [one.value for one in completion.get_completions(["traps"], "rem")] == ["remove"]
    assert "--json" in [one.value for one in completion.get_completions(["check"], "--")]

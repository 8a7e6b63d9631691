"""`gatepost table`, and tables of recipients in other commands."""

import json

import pytest


@pytest.fixture
def users(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "users").write_text("kim@example.com kim\nann@example.com ann x\n")


@pytest.mark.usefixtures("users")
def test_the_value_of_a_key_is_printed(run):
    result = run("table", "texthash:users", "ann@example.com")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "ann x\n", "")


@pytest.mark.usefixtures("users")
def test_several_keys_are_printed_with_their_values(run):
    keys = ("kim@example.com", "x@example.com", "ann@example.com")
    result = run("table", "texthash:users", *keys)
    assert result.exit_code == 1
    assert result.stdout == "kim@example.com\tkim\nann@example.com\tann x\n"
    result = run("table", "texthash:users", *keys, "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout) == {keys[0]: "kim", keys[1]: None, keys[2]: "ann x"}


@pytest.mark.usefixtures("users")
def test_a_key_that_is_missing_is_exit_status_1(run):
    result = run("table", "texthash:users", "x@example.com")
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", "")


@pytest.mark.usefixtures("users")
def test_a_table_that_cannot_answer_is_a_failure(run):
    result = run("table", "texthash:none", "x@example.com")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "table texthash:none: none: cannot be read: No such file or directory" in result.output


@pytest.mark.parametrize("spec", ["users", "mysql:users"])
def test_a_wrong_table_is_wrong_usage(run, spec):
    result = run("table", spec, "x@example.com")
    assert result.exit_code == 2
    assert "expected a table such as" in result.output


def test_paths_are_relative_to_the_configuration(run, configure, tmp_path, monkeypatch):
    folder = configure()
    (folder / "users").write_text("kim@example.com kim\n")
    monkeypatch.chdir(tmp_path)
    result = run("table", "-c", folder / "gatepost.toml", "texthash:users", "kim@example.com")
    assert (result.exit_code, result.stdout) == (0, "kim\n")


KNOWN = '[recipients]\ndomains = ["example.com"]\nknown = ["texthash:users"]'


def test_check_opens_each_table(run, configure):
    folder = configure(KNOWN)
    (folder / "users").write_text("kim@example.com kim\nbroken\n")
    result = run("check", "--json")
    found = json.loads(result.stdout)
    assert found["errors"] == [
        f"{folder}/users:2: expected a key, white space and a value, found 'broken'"
    ]
    assert {"path": f"{folder}/users", "entries": 1} in found["lists"]
    assert {"name": "known recipients", "value": "texthash:users"} in found["summary"]
    (folder / "users").unlink()
    found = json.loads(run("check", "--json").stdout)
    assert found["errors"] == [
        f"table texthash:users: {folder}/users: cannot be read: No such file or directory"
    ]


def test_check_names_a_wrong_table(run, configure):
    configure(KNOWN.replace("texthash", "texthush"))
    (error,) = json.loads(run("check", "--json").stdout)["errors"]
    assert error.startswith("gatepost.toml: recipients.known[0]: expected a table")


def test_check_opens_the_tables_of_plugins(run, configure):
    folder = configure('[[plugin]]\nuse = "./mine.py"\noptions = { senders = ["texthash:none"] }')
    (folder / "mine.py").write_text(
        "from gatepost import Plugin, TableName\n\n\nclass Mine(Plugin):\n"
        "    class Options(Plugin.Options):\n        senders: tuple[TableName, ...]\n\n"
        "    def on_rcpt(self, tx, rcpt):\n        return None\n"
    )
    (error,) = json.loads(run("check", "--json").stdout)["errors"]
    assert error.startswith("table texthash:none: ")


def test_a_trap_cannot_be_armed_if_a_table_has_its_address(run, configure):
    folder = configure(KNOWN)
    (folder / "users").write_text("kim@example.com kim\n")
    for address, problem in (("kim", "a known recipient"), ("kin", "one typing error away")):
        result = run("traps", "add", f"{address}@example.com")
        assert result.exit_code == 1
        assert problem in result.stderr
    assert run("traps", "add", "x.y.z@example.com").exit_code == 0
    (folder / "users").unlink()
    result = run("traps", "add", "other@example.com")
    assert (result.exit_code, "cannot be read" in result.output) == (1, True)


def test_a_file_of_a_table_that_others_can_change_is_a_warning(run, configure):
    folder = configure(KNOWN)
    (folder / "users").write_text("kim@example.com kim\n")
    (folder / "users").chmod(0o666)
    found = json.loads(run("check", "--json").stdout)
    assert any(f"other users can change {folder}/users" in one for one in found["warnings"])

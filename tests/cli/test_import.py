"""`gatepost import`: the new folder, the report and the exit status."""

import json

import pytest
from tests.migration.made import write_files

from gatepost.config.load import load_config
from gatepost.migration import folder as new_folder

QPSMTPD = {
    "config/plugins": "check_verybadrcptto\nrelay\nrcpt_ok\nkarma\nqueue/maildir /var/mail %d/%l\n",
    "config/me": "mx.example.com\n",
    "config/rcpthosts": "example.com\n",
    "config/relayclients": "192.0.2.\n",
    "config/verybadrcptto": "sales-2009@example.com on the press page\nnot an address\n",
}
HARAKA = {
    "config/plugins": "rcpt_to.in_host_list\nqueue/discard\n",
    "config/me": "mx.example.com\n",
    "config/host_list": "example.com\n",
    "config/smtp.ini": "listen=127.0.0.1:2525\n",
}


@pytest.fixture
def qpsmtpd(tmp_path):
    return write_files(tmp_path / "qpsmtpd", QPSMTPD)


@pytest.fixture
def haraka(tmp_path):
    return write_files(tmp_path / "haraka", HARAKA)


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_folder_has_the_configuration_and_the_lists(run, qpsmtpd, tmp_path):
    result = run("import", "qpsmtpd", qpsmtpd, "--out", tmp_path / "mail")
    assert result.exit_code == 0, result.stderr
    assert files(tmp_path / "mail") == ["gatepost.toml", "rcpthosts", "verybadrcptto"]
    config = load_config(tmp_path / "mail/gatepost.toml")
    assert config.server.hostname == "mx.example.com"
    assert config.traps.lists == ("verybadrcptto",)
    assert "hostname = " in (tmp_path / "mail/gatepost.toml").read_text()
    assert "# config/me:1" in (tmp_path / "mail/gatepost.toml").read_text()


def test_the_report_has_three_groups(run, qpsmtpd, tmp_path):
    result = run("import", "qpsmtpd", qpsmtpd, "--out", tmp_path / "mail")
    taken, different, left = (
        result.stdout.index(title) for title in ("Taken over", "Different here", "Not taken over")
    )
    assert taken < result.stdout.index("traps: 1, in verybadrcptto") < different
    assert different < result.stdout.index("no order of plugins changes it") < left
    assert left < result.stdout.index("config/verybadrcptto:2")
    assert left < result.stdout.index("karma: Remember good and bad clients")
    assert f"{tmp_path}/mail: no errors, warnings: " in result.stdout
    assert f"cd {tmp_path}/mail" in result.stdout


def test_haraka_is_taken_over_too(run, haraka, tmp_path):
    result = run("import", "haraka", haraka, "--out", tmp_path / "mail")
    assert result.exit_code == 0, result.stderr
    assert load_config(tmp_path / "mail/gatepost.toml").route[0].to == "discard:"


def test_the_report_as_json(run, qpsmtpd, tmp_path):
    result = run("import", "qpsmtpd", qpsmtpd, "--out", tmp_path / "mail", "--json")
    data = json.loads(result.stdout)
    assert data["folder"] == str(tmp_path / "mail")
    assert data["errors"] == []
    assert {
        "place": "config/verybadrcptto",
        "text": "traps: 1, in verybadrcptto",
        "page": "traps.md#trap-lists",
    } in data["taken"]
    assert [one["place"] for one in data["left"]] == ["config/plugins:4", "config/verybadrcptto:2"]


def test_a_dry_run_writes_nothing_and_prints_the_configuration(run, qpsmtpd, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    result = run("import", "qpsmtpd", qpsmtpd, "--out", tmp_path / "mail", "--dry-run")
    assert result.exit_code == 0
    assert 'lists = ["verybadrcptto"]' in result.stdout
    assert "traps: 1, in verybadrcptto" in result.stdout
    as_json = run("import", "qpsmtpd", qpsmtpd, "--out", tmp_path / "mail", "--dry-run", "--json")
    assert json.loads(as_json.stdout)["folder"] is None
    assert 'lists = ["verybadrcptto"]' in json.loads(as_json.stdout)["configuration"]
    assert sorted(tmp_path.rglob("*")) == before


def test_an_existing_file_is_not_replaced(run, qpsmtpd, tmp_path):
    mine = write_files(tmp_path / "mail", {"gatepost.toml": "precious"})
    result = run("import", "qpsmtpd", qpsmtpd, "--out", mine)
    assert result.exit_code == 1
    expected = "expected a folder that is empty or does not exist yet"
    assert result.stderr == f"gatepost: {mine}: {expected}\n"
    assert (mine / "gatepost.toml").read_text() == "precious"
    assert files(tmp_path) == ["mail", "qpsmtpd"]


def test_a_link_is_not_replaced(run, qpsmtpd, tmp_path):
    (tmp_path / "mail").symlink_to(tmp_path / "nosuch")
    assert run("import", "qpsmtpd", qpsmtpd, "--out", tmp_path / "mail").exit_code == 1
    assert files(tmp_path) == ["mail", "qpsmtpd"]


def test_an_empty_folder_is_used(run, qpsmtpd, tmp_path):
    (tmp_path / "mail").mkdir()
    assert run("import", "qpsmtpd", qpsmtpd, "--out", tmp_path / "mail").exit_code == 0


def test_a_failure_leaves_nothing_behind(run, qpsmtpd, tmp_path, monkeypatch):
    def fail(*_arguments):
        raise OSError(28, "No space left on device", "verybadrcptto")

    monkeypatch.setattr(new_folder, "write_list", fail)
    result = run("import", "qpsmtpd", qpsmtpd, "--out", tmp_path / "mail")
    assert result.exit_code == 1
    assert result.stderr == "gatepost: verybadrcptto: No space left on device\n"
    assert files(tmp_path) == ["qpsmtpd"]


@pytest.mark.parametrize("server", ["qpsmtpd", "haraka"])
def test_another_folder_is_an_error(run, tmp_path, server):
    result = run("import", server, tmp_path / "nosuch", "--out", tmp_path / "mail")
    assert result.exit_code == 1
    assert "no file config/plugins; expected the folder of" in result.stderr
    assert files(tmp_path) == []


def test_an_error_of_the_check_is_the_exit_status(run, haraka, tmp_path):
    write_files(haraka, {"config/smtp.ini": "listen=127.0.0.1:2525\nuser=nosuchuser\n"})
    result = run("import", "haraka", haraka, "--out", tmp_path / "mail")
    assert result.exit_code == 1
    assert "nosuchuser" in result.stderr
    assert (tmp_path / "mail/gatepost.toml").exists()


def test_files_of_qmail_are_read_from_its_folder(run, qpsmtpd, tmp_path):
    (qpsmtpd / "config/verybadrcptto").rename(tmp_path / "verybadrcptto")
    options = ["--control", tmp_path, "--out", tmp_path / "mail"]
    result = run("import", "qpsmtpd", qpsmtpd, *options)
    assert f"{tmp_path}/verybadrcptto" in result.stdout
    assert "verybadrcptto" in files(tmp_path / "mail")


def test_a_link_out_of_the_folder_is_read_with_follow(run, qpsmtpd, tmp_path):
    (qpsmtpd / "config/verybadrcptto").rename(tmp_path / "traps")
    (qpsmtpd / "config/verybadrcptto").symlink_to(tmp_path / "traps")
    result = run("import", "qpsmtpd", qpsmtpd, "--out", tmp_path / "one")
    assert "outside of the folder; --follow reads it" in result.stdout
    assert "verybadrcptto" not in files(tmp_path / "one")
    run("import", "qpsmtpd", qpsmtpd, "--out", tmp_path / "two", "--follow")
    assert "verybadrcptto" in files(tmp_path / "two")


def test_a_big_list_is_read_line_by_line_with_progress(run, qpsmtpd, tmp_path):
    with (qpsmtpd / "config/verybadrcptto").open("w") as file:
        file.writelines(f"a{number:06}@example.com\n" for number in range(250_000))
        file.write("bad\n" * 12)
    result = run("import", "qpsmtpd", qpsmtpd, "--out", tmp_path / "mail")
    assert result.exit_code == 0
    assert f"gatepost: reading {qpsmtpd}/config/verybadrcptto (4MiB)" in result.stderr
    assert "traps: 250000, in verybadrcptto" in result.stdout
    assert "2 more wrong lines" in result.stdout


def test_terminal_controls_in_names_are_escaped(run, qpsmtpd, tmp_path):
    with (qpsmtpd / "config/plugins").open("a") as file:
        file.write("evil\x1b[31m\n")
    write_files(qpsmtpd, {"config/odd\x1b[31m": "x"})
    result = run("import", "qpsmtpd", qpsmtpd, "--out", tmp_path / "mail")
    assert "\x1b" not in result.stdout
    assert "\\x1b" in result.stdout

"""`gatepost init --for`: the configuration for a mail server that asks."""

import pytest
from tests.checks.postconf import use_postconf
from tests.docs.pages import page

from gatepost.cli.shared.mail_servers import MAIL_SERVERS
from gatepost.config.load import load_config


@pytest.fixture
def postconf(monkeypatch):
    """Put the real postconf into the PATH."""
    use_postconf(monkeypatch)


@pytest.mark.parametrize("name", MAIL_SERVERS)
def test_the_configuration_has_the_listener_and_the_settings_are_printed(run, tmp_path, name):
    server = MAIL_SERVERS[name]
    result = run("init", "--for", name, tmp_path / "mail")
    assert result.exit_code == 0
    assert result.stdout.endswith(server.settings)
    config = load_config(tmp_path / "mail/gatepost.toml")
    assert [(one.protocol, str(one.address)) for one in config.listen] == [
        (server.protocol, server.address)
    ]
    assert not config.recipients.known
    assert not config.route
    assert config.traps.lists
    assert config.recipients.subaddress == "+"
    assert config.limits.recipients == 1000
    assert not (tmp_path / "mail/users").exists()


@pytest.mark.parametrize("name", MAIL_SERVERS)
def test_the_starter_has_no_warning_but_that_of_the_host_name(run, tmp_path, monkeypatch, name):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("gatepost.checks.postfix.settings.command", lambda: None)
    run("init", "--for", name, tmp_path / "mail")
    result = run("check", "-c", tmp_path / "mail/gatepost.toml")
    assert result.exit_code == 0
    warnings = [line for line in result.stdout.splitlines() if line.startswith("warning: ")]
    assert [one for one in warnings if "localhost" not in one and "root" not in one] == []


PAGES = {name: name for name in MAIL_SERVERS if name != "postfix"} | {"postfix-policy": "policy"}


@pytest.mark.parametrize("name", PAGES)
def test_the_documentation_has_the_same_settings(name):
    assert f"\n{MAIL_SERVERS[name].settings}```\n" in page(PAGES[name])


@pytest.mark.parametrize("name", MAIL_SERVERS)
def test_the_settings_have_the_address_of_the_listener(name):
    server = MAIL_SERVERS[name]
    host, _, port = server.address.partition(":")
    assert f"{host}:{port}" in server.settings or f"inet:{port}@{host}" in server.settings


@pytest.mark.parametrize("name", ["postfix", "postfix-policy"])
def test_the_check_accepts_the_settings_of_postfix(run, tmp_path, postconf, name):
    settings = MAIL_SERVERS[name].settings
    (tmp_path / "main.cf").write_text(f"compatibility_level = 3.6\n{settings}")
    (tmp_path / "master.cf").write_text("smtp inet n - n - - smtpd\n")
    run("init", "--for", name, tmp_path / "mail")
    config = tmp_path / "mail/gatepost.toml"
    assert "postfix: " not in run("check", "-c", config, "--postfix", tmp_path).stdout
    (tmp_path / "main.cf").write_text("compatibility_level = 3.6\n")
    assert "postfix: " in run("check", "-c", config, "--postfix", tmp_path).stdout


@pytest.mark.parametrize("name", MAIL_SERVERS)
def test_a_message_can_be_tried(run, tmp_path, name):
    run("init", "--for", name, tmp_path / "mail")
    config = tmp_path / "mail/gatepost.toml"
    assert run("try", "-c", config, "--to", "alice@example.com").exit_code == 0
    refused = run("try", "-c", config, "--to", "alice@example.com", "--to", "trap@example.com")
    assert "554 5.7.1 Message refused by local policy" in refused.stdout

"""`gatepost init --for`: the configuration for a mail server that asks."""

import pytest
from tests.docs.pages import page

from gatepost.cli.shared.mail_servers import MAIL_SERVERS
from gatepost.config.load import load_config


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


@pytest.mark.parametrize("name", MAIL_SERVERS)
def test_the_starter_has_no_warning_but_that_of_the_host_name(run, tmp_path, monkeypatch, name):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("gatepost.checks.postfix.settings.command", lambda: None)
    run("init", "--for", name, tmp_path / "mail")
    result = run("check", "-c", tmp_path / "mail/gatepost.toml")
    assert result.exit_code == 0
    warnings = [line for line in result.stdout.splitlines() if line.startswith("warning: ")]
    assert [one for one in warnings if "localhost" not in one and "root" not in one] == []


PAGES = {"postfix-policy": "policy", "exim": "exim", "opensmtpd": "opensmtpd"}


@pytest.mark.parametrize("name", MAIL_SERVERS)
def test_the_documentation_has_the_same_settings(name):
    assert f"\n{MAIL_SERVERS[name].settings}```\n" in page(PAGES[name])


@pytest.mark.parametrize("name", MAIL_SERVERS)
def test_the_settings_have_the_address_of_the_listener(name):
    server = MAIL_SERVERS[name]
    host, _, port = server.address.partition(":")
    assert f"{host}:{port}" in server.settings

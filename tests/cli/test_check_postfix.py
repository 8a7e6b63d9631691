"""`gatepost check` with a listener that Postfix is to ask."""

import pytest

from gatepost.checks.postfix import settings

POLICY = '[[listen]]\naddress = "127.0.0.1:10040"\nprotocol = "policy"'
GOOD = """\
smtpd_recipient_restrictions = reject_unauth_destination, check_policy_service inet:127.0.0.1:10040
smtpd_data_restrictions = check_policy_service inet:127.0.0.1:10040
"""


@pytest.fixture
def postconf(tmp_path, monkeypatch):
    """Install a `postconf` that prints lines; return the file with its arguments."""

    def postconf(lines):
        program, called = tmp_path / "postconf", tmp_path / "called"
        program.write_text(f'#!/bin/sh\necho "$@" >>{called}\ncat <<END\n{lines}END\n')
        program.chmod(0o700)
        monkeypatch.setattr(settings, "command", lambda: str(program))
        return called

    return postconf


def test_check_warns_of_missing_lines_and_succeeds(run, configure, postconf):
    postconf("")
    configure(POLICY)
    result = run("check")
    assert result.exit_code == 0
    assert "warning: postfix: smtpd_data_restrictions does not ask Gatepost" in result.stdout


def test_check_asks_the_postfix_of_the_folder(run, configure, postconf, tmp_path):
    called = postconf(GOOD)
    configure(POLICY)
    result = run("check", "--postfix", tmp_path)
    assert "postfix:" not in result.stdout
    assert called.read_text().startswith(f"-c {tmp_path} -x ")


def test_check_asks_no_postfix_without_such_a_listener(run, configure, postconf):
    called = postconf("")
    configure()
    assert run("check").exit_code == 0
    assert not called.exists()


def test_check_warns_of_settings_for_clients(run, configure, postconf):
    postconf(GOOD)
    configure(POLICY, 'xclient_from = ["127.0.0.1"]', "[auth]\nclear = true")
    assert "warning: listen[0].xclient_from has no effect with policy" in run("check").stdout

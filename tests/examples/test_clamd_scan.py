"""The recipe for clamd, with a real clamd."""

import pytest
from examples.clamd_scan import ClamdScan
from tools.clamd import EICAR, LARGEST, SIGNATURE

from gatepost.testing import play

HEAD = "Subject: x\n\n"


@pytest.mark.slow
def test_a_virus_is_refused_and_other_mail_is_not(clamd_socket, send):
    plugin = ClamdScan(socket=str(clamd_socket))
    found = f"554 5.7.1 virus scan: {SIGNATURE}.UNOFFICIAL FOUND"
    assert play(send(HEAD + EICAR.decode(), found), [plugin]).messages == []
    for clean in ("hello", "", f"{'x' * 90}\n" * 9000):
        assert len(play(send(HEAD + clean), [plugin]).messages) == 1


@pytest.mark.slow
def test_a_message_that_clamd_does_not_scan_is_deferred(clamd_socket, send):
    large = HEAD + f"{'x' * 900}\n" * (LARGEST // 900 + 1)
    assert play(send(large, "451"), [ClamdScan(socket=str(clamd_socket))]).messages == []


def test_without_clamd_mail_is_deferred(tmp_path, send):
    plugin = ClamdScan(socket=str(tmp_path / "absent"))
    assert play(send(HEAD, "451 4.3.0 Temporary local problem"), [plugin]).messages == []

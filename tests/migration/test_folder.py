"""The new folder: what the server would not accept is left out, with a reason."""

import pytest
from tests.migration.made import import_haraka, import_qpsmtpd

from gatepost.config.load import load_config
from gatepost.migration import unread
from gatepost.migration.folder import rehearse


def loaded(found):
    return load_config(found.folder / "gatepost.toml")


@pytest.mark.parametrize("network", ["0.0.0.0/0", "::/0", "::ffff:0:0/96"])
def test_an_open_relay_is_not_taken_over(tmp_path, network):
    clients = f"{network}\n192.0.2.1\n"
    files = {"plugins": "relay\nqueue/smtp-forward 10.2.2.2", "relayclients": clients}
    found = import_qpsmtpd(tmp_path, files)
    (route,) = loaded(found).route
    assert (route.to, str(route.relay_for)) == ("smtp://10.2.2.2:25", "192.0.2.1/32")
    assert len(found.left("config/relayclients")) == 1


def test_an_open_relay_of_haraka_is_not_taken_over(tmp_path):
    files = {"plugins": "relay\nqueue/discard", "relay_acl_allow": "0.0.0.0/0\n"}
    found = import_haraka(tmp_path, files)
    assert [str(one.relay_for) for one in loaded(found).route] == ["none"]


def test_a_route_that_is_not_valid_is_left_out(tmp_path):
    files = {"plugins": "queue/smtp-forward a..b 99999"}
    found = import_qpsmtpd(tmp_path, files)
    assert loaded(found).route[0].to.startswith("maildir:")
    assert len(found.left("config/plugins:1")) == 1
    assert not any(place == "config/plugins:1" for place, _ in found.report("TAKEN"))


def test_a_key_with_a_wrong_value_is_left_out(tmp_path):
    found = import_haraka(tmp_path, {"smtp.ini": "user=no such user\nnodes=2\n"})
    assert found.config["server"] == {"workers": 2}
    assert any("server.user" in text for text in found.left("config/smtp.ini"))
    assert not any("server.user" in text for _, text in found.report("TAKEN"))


def test_a_listener_that_is_not_valid_is_left_out(tmp_path):
    found = import_haraka(tmp_path, {"smtp.ini": "listen=bad_host:25,127.0.0.1:2526\n"})
    assert [one["address"] for one in found.config["listen"]] == ["127.0.0.1:2526"]
    assert len(found.left("config/smtp.ini")) == 1


def test_without_a_valid_listener_there_is_one_on_this_machine(tmp_path):
    found = import_haraka(tmp_path, {"smtp.ini": "listen=bad_host:25\n"})
    assert [one["address"] for one in found.config["listen"]] == ["127.0.0.1:2525"]


def test_a_plugin_with_a_wrong_option_is_left_out(tmp_path):
    files = {"plugins": "dnsbl\nearlytalker", "dnsbl_zones": "not/a/zone\n"}
    found = import_qpsmtpd(tmp_path, files)
    assert [one["use"] for one in found.config["plugin"]] == ["early_talker"]
    assert any("zone" in text for text in found.left("config/plugins:1"))


def test_a_rehearsal_has_the_same_findings_and_writes_nothing(tmp_path):
    files = {"plugins": "relay\nbadrcptto", "relayclients": "x\n", "badrcptto": "a@b.c\nbad\n"}
    found = import_qpsmtpd(tmp_path, files)
    job = import_qpsmtpd(tmp_path / "again", files).job
    before = sorted(tmp_path.rglob("*"))
    rehearse(job.draft)
    assert sorted(tmp_path.rglob("*")) == before
    assert job.draft.text() == found.job.draft.text()


def test_many_files_that_were_not_used_are_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(unread, "MOST_FILES", 2)
    files = {f"odd{number}": "x" for number in range(5)}
    found = import_qpsmtpd(tmp_path, files)
    assert found.left("config") == ["3 more files were not used"]

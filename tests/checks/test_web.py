"""The warnings of `gatepost check` about the dashboard."""

import pytest

from gatepost.checks import web
from gatepost.config.load import ConfigError, config_from_dict
from gatepost.config.schema import LedgerConfig


def warnings(**keys):
    config = config_from_dict({"web": keys, "tls": {"certificates": [{"cert": "c", "key": "k"}]}})
    return [
        text
        for check in (web.address, web.tls, web.proxies, web.ledger)
        for text in check(config, None, None)
    ]


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"listen": "127.0.0.1:8025"},
        {"listen": "[::1]:8025"},
        {"listen": "unix:var/web.sock", "user_header": "Remote-User"},
        {"listen": "0.0.0.0:8025", "tls": True},
        {"listen": "192.168.1.2:8025", "proxy_from": ["192.168.1.0/24"]},
    ],
)
def test_usual_settings_have_no_warning(keys):
    assert warnings(**keys) == []


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"listen": "0.0.0.0:8025"}, "has no TLS"),
        ({"listen": "[::]:8025", "proxy_from": ["192.0.2.1/32"]}, "has no TLS"),
        ({"listen": "192.168.1.2:8025"}, "has no TLS"),
        (
            {"listen": "127.0.0.1:1", "proxy_from": ["0.0.0.0/0"]},
            "web.proxy_from contains 0.0.0.0/0",
        ),
        ({"listen": "127.0.0.1:1", "user_header": "X-User"}, "web.user_header has no effect"),
        ({"proxy_from": ["192.0.2.1/32"]}, "web.proxy_from has no effect"),
        ({"tls": True}, "web.tls has no effect"),
        ({"public_status": True}, "web.public_status has no effect"),
    ],
)
def test_a_setting_that_is_probably_wrong_has_a_warning(keys, expected):
    (found,) = warnings(**keys)
    assert expected in found


def test_a_dashboard_without_records_has_a_warning():
    config = config_from_dict({"web": {"listen": "127.0.0.1:1"}, "ledger": {"enabled": False}})
    assert config.ledger == LedgerConfig(enabled=False)
    (found,) = web.ledger(config, None, None)
    assert "ledger.enabled is false" in found


def test_https_needs_a_certificate():
    with pytest.raises(ConfigError, match=r"web.tls: expected a certificate in tls.certificates"):
        config_from_dict({"web": {"listen": "127.0.0.1:1", "tls": True}})


@pytest.mark.parametrize("listen", ["8025", "localhost:8025", "fd:3", "http://127.0.0.1:8025"])
def test_an_address_that_is_none_is_refused(listen):
    with pytest.raises(ConfigError, match=r"web.listen: expected"):
        config_from_dict({"web": {"listen": listen}})

"""The samples and replies of docs/relay.md are correct."""

import re
import tomllib

import pytest
from tests.docs.pages import blocks, rows, section

from gatepost.config.load import config_from_dict
from gatepost.delivery.registry import make_router
from gatepost.delivery.smtp import errors
from gatepost.delivery.smtp.mx_lookup import lookup_failed

CONNECTIONS = ("unreachable", "connection_lost", "busy", "auth_failed", "protocol_error", "no_tls")


@pytest.mark.parametrize("sample", blocks("relay", "toml"))
def test_every_sample_is_valid(sample, tmp_path):
    config = config_from_dict(tomllib.loads(sample))
    assert make_router(config.route, base=tmp_path, hostname="mx.example.com").routes


def test_every_reply_to_the_client_is_listed():
    made = [getattr(errors, name)("").reply for name in (*CONNECTIONS, "tls_failed")]
    listed = [row[0].strip("`") for row in rows(section("relay", "Replies"))]
    assert sorted(listed[: len(made)]) == sorted(map(str, made))


def test_every_reply_after_a_dns_failure_is_listed():
    listed = " ".join(row[0] for row in rows(section("relay", "MX")))
    assert re.findall(r"`(\d{3} [\d.]+)`", listed) == [
        "550 5.1.2",
        "556 5.1.10",
        "550 5.4.6",
        "550 5.4.4",
        str(lookup_failed("").reply)[:9],
    ]

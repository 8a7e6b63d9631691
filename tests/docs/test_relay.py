"""docs/relay.md: its replies are those of the code, and its samples are valid."""

import re
import tomllib

import pytest
from tests.docs.test_docs import blocks, rows, section

from gatepost.config.load import from_dict
from gatepost.delivery.registry import make_router
from gatepost.delivery.smtp import errors
from gatepost.delivery.smtp.mx_lookup import lookup_failed

CONNECTIONS = ("unreachable", "connection_lost", "busy", "auth_failed", "protocol_error", "no_tls")


@pytest.mark.parametrize("sample", blocks("relay", "toml"))
def test_samples(sample, tmp_path):
    config = from_dict(tomllib.loads(sample))
    assert make_router(config.route, base=tmp_path, hostname="mx.example.com").routes


def test_every_reply_about_the_next_hop_is_listed():
    made = [getattr(errors, name)("").reply for name in (*CONNECTIONS, "tls_failed")]
    listed = [row[0].strip("`") for row in rows(section("relay", "Replies"))]
    assert sorted(listed[: len(made)]) == sorted(map(str, made))


def test_every_reply_about_the_dns_is_listed():
    listed = " ".join(row[0] for row in rows(section("relay", "MX")))
    assert re.findall(r"`(\d{3} [\d.]+)`", listed) == [
        "550 5.1.2",
        "556 5.1.10",
        "550 5.4.6",
        str(lookup_failed("").reply)[:9],
    ]

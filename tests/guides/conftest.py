"""Machines on which the guides are followed."""

import pytest
from tests.guides.guide import Guide
from tests.net import authority
from tools import machine

LIVE = "etc/letsencrypt/live/mx.example.com"


@pytest.fixture
def mx():
    """A machine with Postfix and Dovecot installed and Gatepost's code in /opt/gatepost."""
    if reason := machine.why_not():
        pytest.skip(reason)
    with machine.running() as running:
        yield running


@pytest.fixture
def certified(mx, tmp_path):
    """The same machine with a certificate, in the files that certbot writes."""
    authority.write(tmp_path, "mx.example.com")
    live = mx.folder / LIVE
    live.mkdir(parents=True)
    live.parent.chmod(0o700)
    (live / "fullchain.pem").write_bytes((tmp_path / "cert.pem").read_bytes())
    (live / "privkey.pem").write_bytes((tmp_path / "cert.key").read_bytes())
    return mx


@pytest.fixture
def installed(certified):
    """The same machine with Gatepost installed and its certificate copied, and Postfix running."""
    Guide("debian", certified).follow("Install", "Certificate")
    assert certified.run("systemctl start postfix").returncode == 0
    return certified

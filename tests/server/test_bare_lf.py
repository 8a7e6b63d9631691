"""`smtp.bare_lf_from`: the clients whose content may have a bare LF."""

from ipaddress import ip_network

import msgspec
import pytest
from tests.server.loopback import ENVELOPE, config, run
from tests.server.proxies import LOOPBACK
from tests.wire.headers import LOCAL, UNSPECIFIED, V1, v2

from gatepost.config.schema import SmtpConfig
from gatepost.testing import Capture

NAMED = [ip_network("203.0.113.7/32")]
CONTENT = ENVELOPE + b"DATA\r\na\nb\r\n.\r\n"


def final_reply(folder, networks, before):
    """Send the content, and return its reply and the lines that arrived."""
    smtp = SmtpConfig(bare_lf_from=networks, unauthorised_pipelining="tolerate")
    made = config(folder)
    listen = msgspec.structs.replace(
        made.listen[0],
        xclient_from=LOOPBACK if before.startswith(b"XCLIENT") else [],
        proxy_from=LOOPBACK if before and not before.startswith(b"XCLIENT") else [],
    )
    capture, replies = Capture(), []

    async def scenario(running):
        client = await running.connect()
        client.send(before + CONTENT + b"QUIT\r\n")
        replies.extend((await client.rest()).splitlines())
        await client.close()
        await running.until(lambda: not running.connections.members)

    run(scenario, msgspec.structs.replace(made, smtp=smtp, listen=[listen]), [capture])
    contents = [one.content.partition(b"\r\na")[2] for one in capture.messages]
    return [one[:3] for one in replies if one[:3] in ("250", "550")][-1], contents


@pytest.mark.parametrize(
    ("networks", "before"),
    [
        (LOOPBACK, b""),
        (NAMED, V1),
        (NAMED, b"XCLIENT ADDR=203.0.113.7\r\n"),
        (LOOPBACK, v2(command=LOCAL)),
        (LOOPBACK, b"XCLIENT ADDR=127.0.0.9\r\n"),
    ],
)
def test_a_bare_lf_from_a_listed_client_becomes_crlf(tmp_path, networks, before):
    assert final_reply(tmp_path, networks, before) == ("250", [b"\r\nb\r\n"])


@pytest.mark.parametrize(
    ("networks", "before"),
    [
        ([], b""),
        (NAMED, b""),
        (LOOPBACK, V1),
        (LOOPBACK, b"XCLIENT ADDR=203.0.113.7\r\n"),
        (LOOPBACK, b"XCLIENT ADDR=[UNAVAILABLE]\r\n"),
        (LOOPBACK, b"XCLIENT HELO=x\r\n"),
        (LOOPBACK, v2(family=UNSPECIFIED)),
    ],
)
def test_a_bare_lf_from_any_other_client_is_refused(tmp_path, networks, before):
    assert final_reply(tmp_path, networks, before) == ("550", [])

"""The view Now: open sessions of a running server, and the page that ends one."""

import asyncio
import json
import re

import pytest
from tests.web.served import Dashboard

from gatepost.config.load import config_from_dict
from gatepost.server.server import Server
from gatepost.web.views.now import _host

TABLES = {
    "listen": [{"address": "127.0.0.1:0"}],
    "recipients": {"domains": ["example.com"]},
    "route": [{"for": ["*"], "to": "discard:"}],
}


@pytest.fixture
def dashboard(tmp_path):
    with Dashboard(tmp_path) as running:
        yield running


def while_connected(dashboard, look):
    """Run `look` in a thread while a client has sent EHLO; return its result and the last line."""

    async def main():
        config = config_from_dict(TABLES, dashboard.config.base)
        async with Server(config, control=True) as server:
            host, _, port = server.addresses[0][1].rpartition(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            await reader.readline()
            writer.write(b"EHLO <b>client.example\r\n")
            await reader.readuntil(b"\n250 ")
            await reader.readline()
            found = await asyncio.to_thread(look)
            writer.write(b"QUIT\r\n")
            reply = await reader.readline()
            writer.close()
            return found, reply

    return asyncio.run(main())


def test_open_sessions_are_shown_with_their_step(dashboard):
    admin = dashboard.logged_in(role="admin")
    answer, reply = while_connected(dashboard, lambda: admin.get("/now?table=sessions&format=json"))
    [session] = json.loads(answer.text)
    assert (session["client"], session["step"]) == ("127.0.0.1", "helo")
    assert reply.startswith(b"221 ")


@pytest.mark.parametrize(
    ("client", "host"),
    [("192.0.2.1:25", "192.0.2.1"), ("[2001:db8::1]:25", "2001:db8::1"), ("local", "local")],
)
def test_a_client_is_shown_without_its_port(client, host):
    assert _host(client) == host


def test_without_scripts_the_page_is_loaded_again(dashboard):
    text = dashboard.logged_in(role="admin").get("/now").text
    assert '<noscript><meta http-equiv="refresh" content="5"></noscript>' in text


def test_what_a_client_has_sent_is_text(dashboard):
    admin = dashboard.logged_in(role="admin")
    answer, _ = while_connected(dashboard, lambda: admin.get("/now"))
    assert "&lt;b&gt;client.example" in answer.text or "client.example" not in answer.text
    assert "<b>client" not in answer.text


def test_an_administrator_ends_a_session(dashboard):
    admin = dashboard.logged_in(role="admin")

    def end():
        path = re.search(r'href="(/now/end\?ref=[^"]+)"', admin.get("/now").text)[1]
        page = admin.get(path)
        ref = re.search(r'name="ref" value="([^"]+)"', page.text)[1]
        return ref, admin.post("/now/end", {"ref": ref, "token": page.token})

    (ref, answer), reply = while_connected(dashboard, end)
    assert "The session was ended" in answer.text
    assert reply.startswith(b"421 ")
    _, event = dashboard.events(2)
    assert (event.name, event.about) == ("dashboard session ended", "user admin")
    assert ref in event.detail


def test_a_session_that_has_ended_is_not_there(dashboard):
    admin = dashboard.logged_in(role="admin")

    def end():
        page = admin.get("/now/end?ref=gone-1")
        return admin.post("/now/end", {"ref": "gone-1", "token": page.token})

    answer, reply = while_connected(dashboard, end)
    assert "No open session has this reference" in answer.text
    assert reply.startswith(b"221 ")


@pytest.mark.parametrize("user", [{"role": "viewer"}, {"role": "admin", "domains": ["a.example"]}])
def test_others_end_no_session(dashboard, user):
    browser = dashboard.logged_in("other", **user)
    assert browser.get("/now/end?ref=a-1").status == 403
    assert "/now/end" not in browser.get("/now").text


@pytest.mark.parametrize("ref", ["", "x" * 101])
def test_a_malformed_reference_is_an_error(dashboard, ref):
    assert dashboard.logged_in(role="admin").get(f"/now/end?ref={ref}").status == 400


def test_without_a_server_the_page_names_the_reason(dashboard):
    admin = dashboard.logged_in(role="admin")
    assert "The server is not running" in admin.get("/now").text
    page = admin.get("/now/end?ref=a-1")
    assert admin.post("/now/end", {"ref": "a-1", "token": page.token}).status == 503

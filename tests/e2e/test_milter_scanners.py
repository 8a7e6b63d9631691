"""Gatepost as the milter of a real Postfix, with a real rspamd, spamd and clamd behind it."""

import pytest
from tests.e2e.milter import connected, filtered
from tests.e2e.server import eventually
from tests.plugins.scanners import GTUBE
from tools import clamd, postfix, rspamd, spamd

TOOLS = (clamd, postfix, rspamd, spamd)
MISSING = [f"{tool.__name__}: {tool.why_not()}" for tool in TOOLS if tool.why_not()]
pytestmark = pytest.mark.skipif(bool(MISSING), reason="; ".join(MISSING) or "all run")
pytest.importorskip("aiohttp")

RULES = """
rspamd_config.TEST = {
  type = 'prefilter',
  callback = function(task)
    if task:get_header('Subject') == 'mark' then task:set_pre_result('add header', 'x', 'test') end
    task:set_milter_reply({ add_headers = { ['X-Queue'] = task:get_queue_id() or 'none' } })
  end,
}
"""
PLUGINS = """
[[plugin]]
use = "rspamd"
options = {{ server = "{rspamd}" }}

[[plugin]]
use = "spamassassin"
timeout = "5m"
options = {{ server = "unix:{spamd}", deny = 0, timeout = "4m" }}

[[plugin]]
use = "clamav"
options = {{ server = "unix:{clamd}" }}
"""


@pytest.fixture(scope="module")
def mail(tmp_path_factory):
    make = tmp_path_factory.mktemp
    with (
        rspamd.running(make("rspamd"), RULES) as spam,
        spamd.running(make("spamd")) as assassin,
        clamd.running(make("clamd")) as viruses,
    ):
        url = spam.url.removesuffix("/checkv2")
        plugins = PLUGINS.format(rspamd=url, spamd=assassin.unix, clamd=viruses)
        with filtered(make("milter"), extra=plugins) as (_, running):
            yield running


def send(mail, text):
    """Send a message; return the reply."""
    with connected(mail) as client:
        client.envelope("alice@example.com")
        client.exchange("DATA")
        return client.content(text)


@pytest.mark.parametrize(
    ("body", "reply"),
    [
        (GTUBE, "554 5.7.1 Gtube pattern"),
        (clamd.EICAR.decode(), "554 5.7.1 Message contains a virus: Test.Eicar.UNOFFICIAL"),
    ],
)
def test_spam_and_viruses_are_refused(mail, body, reply):
    assert send(mail, f"Subject: bad\n\n{body}") == reply


def test_mail_that_is_accepted_has_the_fields_of_the_scanners(mail):
    assert send(mail, "X-Spam: no\nSubject: mark\n\ntext").startswith("250 ")
    [found] = eventually(lambda: mail.mails("alice@example.com"))
    head = found.partition(b"\n\n")[0].decode()
    assert "\nX-Spam: Yes\n" in head
    assert "\nX-Spam: no\n" not in head
    assert "\nX-Spam-Status: " in head
    queue_id = head.partition("\nX-Queue: ")[2].partition("\n")[0]
    assert f" id {queue_id}" in head.replace("\n\t", " ")
    assert "ip=127.0.0.1 rdns= helo=client.example by=" in " ".join(head.split())

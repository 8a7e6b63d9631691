"""Text of clients is text: on each page, in each export, and in the explanations of commands."""

import csv
import html
import io
import re
import time
import urllib.parse

import msgspec
import pytest
from click.testing import CliRunner
from tests.queue.spool.samples import facts, new_message, put, recipient, store_at
from tests.web import made
from tests.web.made import MARKUP
from tests.web.served import PASSWORD, VIEWS, Dashboard, write_records
from tests.web.test_now import while_connected

from gatepost.allow.entry import make_entry
from gatepost.allow.file import put as put_entry
from gatepost.allow.subject import parse_subject
from gatepost.cli.commands import gatepost
from gatepost.ledger.records import Notice, PluginResult
from gatepost.metrics.report import HookReport, Report, write_report
from gatepost.metrics.status import CertificateStatus, ListStatus
from gatepost.registry.file import FileRegistry
from gatepost.registry.trap import RegisteredTrap

# What a page has of MARKUP if it is text.
FORMULA = re.compile(r"[=+@\t\r-]")
NUMBER = re.compile(r"[+-]?[\d.]+(e[+-]?\d+)?|-")
SHOWN = "<img src=x onerror=alert(2)>"
TRAP = "trap@example.com"
CONFIG = """
[[listen]]
address = "127.0.0.1:0"
[recipients]
domains = ["example.com"]
[[route]]
to = "discard:"
"""
IN_URL = urllib.parse.quote(MARKUP, safe="")
# Pages with records of a hostile client, and pages that have the text of their own address.
PAGES = [
    *(f"{path}?period=all" for path in VIEWS),
    "/message/e1-1.1",
    "/message/e2-1",
    "/dossier?q=192.0.2.66",
    f"/review/trap?entry={TRAP}",
    f"/review/trap?entry={TRAP}&action=armed",
]
REFLECTED = [
    *(
        f"/find?{name}={IN_URL}"
        for name in ("q", "sender", "to", "ip", "domain", "reason", "plugin")
    ),
    *(
        f"/find?{name}={IN_URL}"
        for name in ("period", "zone", "since", "until", "before", "result")
    ),
    f"/queue?sender={IN_URL}",
    f"/try?sender={IN_URL}&to={IN_URL}&helo={IN_URL}&ip={IN_URL}",
    f"/quarantine?reason={IN_URL}&plugin={IN_URL}",
    f"/authentication?domain={IN_URL}",
    f"/dossier?q={IN_URL}",
    f"/message/{IN_URL}",
    f"/nothing/{IN_URL}",
    f"/login?next=/{IN_URL}",
    f"/first?token={IN_URL}",
    f"/review/trap?entry={IN_URL}",
    f"/now/end?ref={IN_URL[:90]}",
    f"/allow?q={IN_URL}",
    "/allowed/end?what=client.example",
    f"/allowed/end?what={IN_URL}",
    f"/forgive?what={IN_URL}",
]
# Views without a text of a client: numbers, and what needs an open session or a subject.
WITHOUT = ("/outcomes?", "/now?", "/dossier?period=")


def _queue(folder):
    """Write a message that waits and one that is held, with hostile texts."""
    sender = f'"{MARKUP.replace(chr(34), "")}"@client.example'
    waiting = {"reply": f"550 {MARKUP}", "attempts": 1}
    held = {"due": None, "reason": MARKUP, "holder": MARKUP}
    spool = folder / "spool"
    spool.mkdir(parents=True)
    with store_at(spool / "1.db") as store:
        for number, more in enumerate((waiting, held)):
            one = recipient("a@example.com", MARKUP, **more)
            put(store, new_message(one, of=facts(f"q-1.{number}", sender)))


def _report(folder):
    certificate = CertificateStatus(MARKUP, [MARKUP], 1.0, MARKUP)
    hooks = [HookReport(MARKUP, "on_rcpt", 1, 0.1, 0.1)]
    lists = [ListStatus(MARKUP, 1, 1.0, MARKUP)]
    report = Report(1.0, warnings=[MARKUP], lists=lists, certificates=[certificate], hooks=hooks)
    write_report(folder / "ledger" / "status.json", report)


def _allowed(folder):
    subject, now = parse_subject("client.example"), time.time()
    put_entry(
        folder,
        make_entry(subject, now=now, until=now + 3600, by=SHOWN, note=SHOWN, traps=False),
        pending=False,
    )


def _records(text=MARKUP):
    transaction, *others = made.hostile(text)
    dmarc = PluginResult("dmarc", "fail", facts={"domain": text, "policy": text})
    good = PluginResult("standing", "acquainted", reason=text)
    failing = msgspec.structs.replace(transaction, ref="e3-1.1", results=[dmarc, good])
    login = Notice(made.NOW - 5, "dashboard login failed", f"from {text}", text)
    return transaction, failing, *others, login


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """A dashboard with markup in every text that comes from outside."""
    folder = tmp_path_factory.mktemp("hostile")
    data = folder / "var"
    write_records(data, *_records())
    _queue(data)
    _report(data)
    _allowed(data)
    FileRegistry(data).change(
        TRAP, lambda _: RegisteredTrap(entry=TRAP, by="test", at=1000.0, reason=MARKUP)
    )
    with Dashboard(folder, proxy_from=["127.0.0.0/8"]) as dashboard:
        dashboard.add("admin")
        headers = {"User_Agent": MARKUP, "X_Forwarded_For": MARKUP, "Referer": MARKUP}
        form = {"name": MARKUP, "password": PASSWORD}
        assert MARKUP not in dashboard.browser().post("/login", form, **headers).text
        yield dashboard


def test_no_text_of_a_client_makes_an_element(act_as_admin, hostile):
    answer = act_as_admin(hostile, "markup", paths=[*PAGES, *REFLECTED], text=SHOWN)
    assert answer["dialogs"] == []
    assert [one for one in answer["found"] if one["made"]] == []
    hidden = {one["path"] for one in answer["found"] if not one["shown"]}
    assert hidden & set(PAGES) == {path for path in PAGES if path.startswith(WITHOUT)}


def test_what_an_open_session_has_sent_makes_no_element(act_as_admin, tmp_path):
    with Dashboard(tmp_path) as dashboard:
        answer, _ = while_connected(
            dashboard,
            lambda: act_as_admin(dashboard, "markup", paths=["/now"], text="client.example"),
        )
    assert answer == {"found": [{"path": "/now", "made": [], "shown": True}], "dialogs": []}


def test_no_cell_of_an_export_is_a_formula(tmp_path):
    write_records(tmp_path / "var", *_records("=HYPERLINK(1)"))
    with Dashboard(tmp_path) as dashboard:
        browser = dashboard.logged_in(role="admin")
        urls = [
            html.unescape(url)
            for path in PAGES
            for url in re.findall(r'href="([^"]*format=csv)"', browser.get(path).text)
        ]
        exports = [csv.reader(io.StringIO(browser.get(url).text)) for url in urls]
    cells = [cell for export in exports for row in export for cell in row]
    assert "'=HYPERLINK(1)" in cells
    assert [one for one in cells if FORMULA.match(one) and not NUMBER.fullmatch(one)] == []


@pytest.fixture
def command(tmp_path):
    """Run a command about a ledger with hostile records; return what it prints."""
    write_records(tmp_path / "var", *_records())
    file = tmp_path / "gatepost.toml"
    file.write_text(CONFIG)

    def command(*arguments):
        result = CliRunner().invoke(gatepost, [*arguments, "-c", str(file)])
        assert result.exit_code == 0, result.output
        return result.stdout

    return command


def test_the_report_as_html_has_no_element_of_a_client(command):
    text = command("report", "--html")
    assert "&lt;script&gt;" in text
    assert not re.search(r"<script|<img|\son\w+=[^&]*>", text.replace("&lt;", "").lower())


@pytest.mark.parametrize("ref", ["e1-1.1", "e2-1"])
def test_an_explanation_is_one_line_for_each_fact(command, ref):
    text = command("explain", ref)
    assert "onerror" in text
    assert text.isascii() or "\x1b" not in text
